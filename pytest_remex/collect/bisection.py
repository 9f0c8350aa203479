"""Search for the commit that changed a result: what is known of each, and which to try next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from pytest_remex.collect.compare import compare
from pytest_remex.collect.judge import JudgedRun
from pytest_remex.common.jobs import JobState
from pytest_remex.display import clean, counted
from pytest_remex.model import Tolerance
from pytest_remex.repo.history import HistoryCommit

SHOWN = 10
"""The most commits that a message names."""


class Known(Enum):
    """What is known of an experiment on one commit."""

    NOTHING = "nothing"
    PENDING = "its job has not ended"
    SAME = "its result is that of the first commit"
    CHANGED = "its result differs"
    SKIPPED = "it does not run there"


@dataclass(frozen=True, slots=True)
class Narrowed:
    """How far the search has come, as positions in the list of commits.

    Attributes:
        same: The last commit before the change that is known to be the same.
        changed: The first that is known to be changed.
        untried: Those between about which nothing is known yet.
        pending: Those between whose jobs have not ended.

    """

    same: int
    changed: int
    untried: tuple[int, ...]
    pending: tuple[int, ...]

    @property
    def suspects(self) -> range:
        """The commits of which one made the change, as far as is known."""
        return range(self.same + 1, self.changed + 1)

    @property
    def is_final(self) -> bool:
        """Whether nothing is left to try."""
        return not self.untried and not self.pending


def narrowed(known: Sequence[Known]) -> Narrowed | None:
    """Return how far the search has come; None if the ends do not differ, or are not known.

    Args:
        known: What is known of each commit, the oldest first.

    """
    if known[0] is not Known.SAME or known[-1] is not Known.CHANGED:
        return None
    changed = known.index(Known.CHANGED)
    same = max(place for place in range(changed) if known[place] is Known.SAME)
    between = range(same + 1, changed)
    return Narrowed(
        same,
        changed,
        tuple(place for place in between if known[place] is Known.NOTHING),
        tuple(place for place in between if known[place] is Known.PENDING),
    )


def next_round(known: Sequence[Known], most: int) -> list[int]:
    """Return the commits to try next, none while those of a round are pending.

    All at once if they are no more than `most`; else `most` of them, as far apart as possible. The
    first round also has both ends.

    Args:
        known: What is known of each commit, the oldest first.
        most: The most commits of a round, without the ends.

    """
    found = narrowed(known)
    if found is not None:
        return [] if found.pending else _spread(found.untried, most)
    ends = [place for place in (0, len(known) - 1) if known[place] is Known.NOTHING]
    if not ends:
        return []
    between = [p for p in range(1, len(known) - 1) if known[p] is Known.NOTHING]
    return sorted({*ends, *_spread(between, most)})


def _spread(places: Sequence[int], most: int) -> list[int]:
    """Return some of the places, evenly spread; all if there are no more than `most`."""
    if len(places) <= most:
        return list(places)
    step = len(places) / (most + 1)
    return sorted({places[int(step * (number + 1))] for number in range(most)})


class Search:
    """The search for the commit that changed one experiment.

    Args:
        commits: The commits, the oldest first, with whose result those of the others are compared.
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
        """Why there is nothing to search for; empty if there is, or if that is not known yet."""
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
