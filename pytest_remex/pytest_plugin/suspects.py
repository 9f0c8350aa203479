"""The search for the commit that changed one experiment: what is known of it on each commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_remex.collect.bisection import Known, narrowed
from pytest_remex.collect.compare import compare
from pytest_remex.collect.judge import JudgedRun
from pytest_remex.common.jobs import JobState
from pytest_remex.display import clean, counted
from pytest_remex.model import Tolerance
from pytest_remex.repo.history import HistoryCommit

SHOWN = 10
"""The most commits that a message names."""


class Search:
    """A search among commits, the oldest first.

    Args:
        commits: The commits; the result on the first one is the one that others are compared with.
        tolerance: How far measures may be from it.

    """

    def __init__(
        self, commits: Sequence[HistoryCommit], tolerance: Mapping[str, Tolerance]
    ) -> None:
        self._commits = commits
        self._tolerance = tolerance
        self._judged: dict[int, JudgedRun] = {}
        self._pending: set[int] = set()
        self._skipped: dict[int, str] = {}

    @property
    def open(self) -> list[int]:
        """The commits whose result is not known."""
        known = {*self._judged, *self._skipped}
        return [place for place in range(len(self._commits)) if place not in known]

    @property
    def known(self) -> list[Known]:
        """What is known of each commit."""
        return [self._known(place) for place in range(len(self._commits))]

    @property
    def is_done(self) -> bool:
        """Whether the search is over: the change was found, or cannot be found any closer."""
        found = narrowed(self.known)
        return bool(self._fault) or (found is not None and found.is_final)

    def note(self, place: int, judged: JudgedRun) -> None:
        """Note what a collect knows of the experiment on a commit."""
        if not judged.collected.job.state.ended:
            self._pending.add(place)
            return
        self._pending.discard(place)
        if judged.collected.job.state in {JobState.COMPLETED, JobState.FAILED}:
            self._judged[place] = judged
        else:
            self._skipped[place] = f"its job ended {judged.collected.job.state}"

    def skip(self, place: int, why: str) -> None:
        """Note that an experiment cannot be made on a commit."""
        self._skipped[place] = why

    def send(self, place: int) -> None:
        """Note that an experiment was submitted on a commit."""
        if place in self.open:
            self._pending.add(place)

    def report(self) -> Iterator[str]:
        """Return what the search has found, line by line."""
        if fault := self._fault:
            yield fault
            return
        found = narrowed(self.known)
        if found is None:
            yield f"{counted(len(self._pending), 'job')} of both ends and between have not ended"
            return
        suspects = [self._commits[place] for place in found.suspects]
        last = self._commits[found.changed]
        if not found.is_final:
            yield (
                f"the change is in one of {counted(len(suspects), 'commit')}, "
                f"{self._commits[found.same].short}..{last.short}; "
                f"{counted(len(found.pending), 'job')} of these have not ended"
            )
        elif len(suspects) == 1:
            yield f"first changed by {_shown(last)}: {self._difference(found.changed)}"
            if last.is_merge:
                one = last.short
                branch = f"$(git merge-base {one}^1 {one}^2)..{one}^2"
                yield f'    it is a merge: --remex-bisect="{branch}" searches the branch merged'
        else:
            difference = self._difference(found.changed)
            yield f"first changed by one of {len(suspects)} commits: {difference}"
            for commit in suspects[-SHOWN:]:
                place = self._commits.index(commit)
                why = f", skipped: {self._why_skipped(place)}" if commit is not last else ""
                yield f"    {_shown(commit)}{why}"

    @property
    def _fault(self) -> str:
        """Why there is nothing to search for; empty where there is, or that is not known yet."""
        first, last = 0, len(self._commits) - 1
        for place in (first, last):
            if place in self._skipped:
                return f"{_shown(self._commits[place])} cannot be judged: {self._skipped[place]}"
        if first in self._judged and _is_broken(self._judged[first]):
            return f"the job fails on {_shown(self._commits[first])} already: name a GOOD that runs"
        if {first, last} <= self._judged.keys() and not self._difference(last):
            return (
                f"nothing changed: on {self._commits[first].short} and {self._commits[last].short} "
                f"it {self._judged[last].verdict}, and all measures agree"
            )
        return ""

    def _known(self, place: int) -> Known:
        if place in self._skipped:
            return Known.SKIPPED
        if place not in self._judged:
            return Known.PENDING if place in self._pending else Known.NOTHING
        if 0 not in self._judged:
            return Known.PENDING  # it is not known yet what to compare with
        last = self._judged.get(len(self._commits) - 1)
        if _is_broken(self._judged[place]) and not (last and _is_broken(last)):
            return Known.SKIPPED if last else Known.PENDING
        return Known.CHANGED if self._difference(place) else Known.SAME

    def _difference(self, place: int) -> str:
        """Return by what a commit's result differs from that on the first; empty for nothing."""
        first, here = self._judged[0], self._judged[place]
        title = f"on {self._commits[0].short}"
        if _is_broken(here) != _is_broken(first):
            return f"its job ended {here.collected.job.state}"
        if here.verdict != first.verdict:
            why = f" ({here.reason})" if here.reason else ""
            return f"{here.verdict}{why}, {title} {first.verdict}"
        return compare([here.measures], [first.measures], self._tolerance, title).failure

    def _why_skipped(self, place: int) -> str:
        if place in self._skipped:
            return self._skipped[place]
        return f"its job ended {self._judged[place].collected.job.state}"


def _is_broken(judged: JudgedRun) -> bool:
    return judged.collected.job.state is not JobState.COMPLETED


def _shown(commit: HistoryCommit) -> str:
    return f"{commit.short} {clean(commit.subject)} ({commit.date})"
