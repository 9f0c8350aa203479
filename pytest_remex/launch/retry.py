"""Retry runs: which ones, by which recipe, and whether in their run directories."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_remex.collect.fetch import fetch_outputs
from pytest_remex.collect.query import QueryOptions, query
from pytest_remex.collect.runs import WantedRun
from pytest_remex.common.jobs import Job
from pytest_remex.display import Progress
from pytest_remex.errors import SweepError
from pytest_remex.hookspecs import Continuation, ContinueProbe
from pytest_remex.launch.candidate import Candidate, Outcome, State
from pytest_remex.launch.continuation import ENDED_EARLY, EndedEarly, FailedProbe, list_files
from pytest_remex.launch.decision import Decision, KnownRuns, decide
from pytest_remex.launch.launcher import Launcher
from pytest_remex.launch.listener import Listener
from pytest_remex.launch.options import LaunchOptions
from pytest_remex.records.index import RecordedRun
from pytest_remex.transport import Connect


class Retries:
    """Decide whether runs are retried: one query for all, one fetch for those ended early.

    `probes` are what extensions want to list for runs, by run directory; `folder` is for fetched
    outputs. With `certain`, a job counts as forgotten only if the controller itself was asked about
    it.

    Raises `RemoteError` if the remote cannot be queried, and `RecordError` if the answer cannot be
    recorded.
    """

    def __init__(  # noqa: PLR0913 - where to ask, what, and how sure the answer must be
        self,
        runs: Sequence[RecordedRun],
        probes: Mapping[str, ContinueProbe | FailedProbe],
        connect: Connect,
        folder: Path,
        progress: Progress,
        *,
        certain: bool = False,
    ) -> None:
        self._jobs = query(runs, connect, QueryOptions(certain=certain))
        early = [run for run in runs if self._job(run).state in ENDED_EARLY]
        wanted = [WantedRun.as_launched(run) for run in early]
        fetched = fetch_outputs(wanted, connect, folder, progress) if early else []
        self._ended_early: Mapping[str, EndedEarly] = {
            each.collected.run.directory: each for each in list_files(fetched, probes, connect)
        }

    def decide(self, known: KnownRuns, options: LaunchOptions) -> Decision:
        """Return what submit does with an experiment whose run was queried."""
        return decide(known, options, self._job(known.decisive_run) if known.decisive_run else None)

    def has_ended(self, known: KnownRuns) -> bool:
        """Return whether the job of an experiment's run has ended, well or not."""
        return known.decisive_run is not None and self._job(known.decisive_run).state.ended

    def recipe(self, known: KnownRuns) -> int:
        """Return the recipe for a retry."""
        return known.recipe_after(self._job(known.decisive_run) if known.decisive_run else None)

    def ended_early(self, run: RecordedRun) -> EndedEarly | None:
        """Return a run whose job was ended early, with its outputs; None for any other."""
        return self._ended_early.get(run.run.directory)

    def _job(self, run: RecordedRun) -> Job:
        return self._jobs[run.run.directory]


class RetryPlanner:
    """Decides how runs are retried; `continuations` counts how runs that ended early continue.

    Args:
        launcher: Notes which runs are continued.
        listener: Knows how a run continues.

    """

    def __init__(self, launcher: Launcher, listener: Listener) -> None:
        self._launcher = launcher
        self._listener = listener
        self.continuations: Counter[Continuation] = Counter()

    def decide(self, candidate: Candidate, retries: Retries) -> bool:
        """Decide how a run is retried; return False if the hook that should decide raised."""
        if candidate.retried is None:
            return True
        candidate.make_by(retries.recipe(candidate.known))
        if candidate.upstream_is_resent:
            return True
        try:
            self._continue(candidate, candidate.retried, retries)
        except SweepError as error:
            why = f"{error}; it was not started from scratch: correct the hook and submit again"
            candidate.outcome = Outcome(State.NOT_SUBMITTED, why=why)
            return False
        return True

    def _continue(self, candidate: Candidate, run: RecordedRun, retries: Retries) -> None:
        """Continue a run in its directory, if it ended early and can."""
        ended = retries.ended_early(run)
        if ended is None or candidate.is_on_new_base:
            return
        how = self._listener.continuation(ended, candidate.prepared.experiment)
        self.continuations[how] += 1
        if how.command:
            words = shlex.join(how.command)
            candidate.resumed = self._launcher.prepare_continuation(run, words, candidate.prepared)
