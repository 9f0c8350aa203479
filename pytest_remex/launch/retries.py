"""The runs of a batch that may be retried: what became of their jobs, and what they left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_remex.collect.pipeline import CollectedRun, WantedRun, collect
from pytest_remex.collect.query import Connect, query
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.interaction import Progress
from pytest_remex.launch.decision import is_purged
from pytest_remex.records.index import RecordedRun


class Retries:
    """What decides whether runs are retried: one query for all, one fetch for the timed out.

    `folder` is for fetched outputs.

    Raises `RemoteError` where the remote cannot be asked, and `RecordError` where what it says
    cannot be recorded.
    """

    def __init__(
        self, runs: Sequence[RecordedRun], connect: Connect, folder: Path, progress: Progress
    ) -> None:
        self._jobs = query(runs, connect)
        late = [run for run in runs if self._job(run).state is JobState.TIMEOUT]
        wanted = [WantedRun.as_launched(run) for run in late]
        fetched = collect(wanted, connect, folder, progress) if late else []
        self._folder = folder
        self._timed_out: Mapping[str, CollectedRun] = {each.run.directory: each for each in fetched}

    def allow(self, run: RecordedRun | None) -> bool:
        """Return whether to submit: not where a run is alive, ended well, or is unknown."""
        if run is None or is_purged(run, self._folder):
            return True
        return self._job(run).state.failed

    def timed_out(self, run: RecordedRun) -> CollectedRun | None:
        """Return what a run left that reached its time limit; None for any other."""
        return self._timed_out.get(run.run.directory)

    def _job(self, run: RecordedRun) -> Job:
        return self._jobs[run.run.directory]
