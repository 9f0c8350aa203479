"""Retry runs: which ones, by which recipe, and whether in their run directories."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from pytest_remex.collect.fetch import fetch_outputs
from pytest_remex.collect.query import QueryOptions, query
from pytest_remex.collect.runs import WantedRun
from pytest_remex.common.jobs import Job
from pytest_remex.display import Progress
from pytest_remex.hookspecs import Continuation
from pytest_remex.launch.candidate import Candidate, Outcome
from pytest_remex.launch.continuation import ENDED_EARLY, EndedEarly, continuation_of, list_files
from pytest_remex.launch.decision import KnownRuns, decide
from pytest_remex.launch.launcher import Launcher
from pytest_remex.launch.options import LaunchOptions
from pytest_remex.records.index import reached_by

if TYPE_CHECKING:
    from pytest_remex.transport.connection import Connect


class Retries:
    """The retries in a batch: one query for all, one fetch for runs that ended early.

    Args:
        candidates: The experiments of the batch, not all of them retries.
        connect: Returns the connection to a remote.
        folder: The folder of the fetched outputs.
        progress: Shows the progress of the fetch.
        certain: Whether a job counts as forgotten only if the controller itself was asked about it.

    Raises:
        RemoteError: A remote cannot be queried.
        RecordError: The answer cannot be recorded.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        connect: Connect,
        folder: Path,
        progress: Progress,
        *,
        certain: bool = False,
    ) -> None:
        retried = [(each.retried, each) for each in candidates if each.retried]
        self._candidates = [each for _, each in retried]
        runs = reached_by((run, each.remote) for run, each in retried)
        probes = {run.run.directory: each.probe for run, each in retried if each.probe}
        self._jobs = query(runs, connect, QueryOptions(certain=certain))
        early = [run for run in runs if self._jobs[run.run.directory].state in ENDED_EARLY]
        wanted = [WantedRun.as_launched(run) for run in early]
        fetched = fetch_outputs(wanted, connect, folder, progress) if early else []
        self._ended_early: Mapping[str, EndedEarly] = {
            each.collected.run.directory: each for each in list_files(fetched, probes, connect)
        }

    def settle(self, options: LaunchOptions) -> None:
        """Set the outcomes of those whose runs are alive, completed or unknown: no job for them."""
        for candidate in self._candidates:
            known, job = candidate.known, self._job(candidate.known)
            decision = decide(known, options, job)
            outcome = Outcome.unsent(known, decision)
            is_repeated = candidate.upstream_is_resent and job is not None and job.state.ended
            if outcome and not is_repeated:
                candidate.decision, candidate.outcome = decision, outcome

    def prepare(
        self, candidate: Candidate, launcher: Launcher, hooks: pluggy.HookRelay
    ) -> Continuation | None:
        """Choose the recipe of a retry, and whether its run continues in its directory.

        Returns:
            How the run continues; None if its job was not ended early, or it must start over.

        Raises:
            SweepError: The hook that decides raised.

        """
        run = candidate.retried
        if run is None:
            return None
        candidate.make_by(candidate.known.recipe_after(self._job(candidate.known)))
        ended = self._ended_early.get(run.run.directory)
        if ended is None or candidate.upstream_is_resent or candidate.is_on_new_base:
            return None
        how = continuation_of(hooks, ended, candidate.prepared.experiment)
        if how.command:
            words = shlex.join(how.command)
            candidate.resumed = launcher.prepare_continuation(run, words, candidate.prepared)
        return how

    def _job(self, known: KnownRuns) -> Job | None:
        run = known.decisive_run
        return self._jobs[run.run.directory] if run else None
