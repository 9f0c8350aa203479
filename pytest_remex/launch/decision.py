"""Decides what a submit does with an experiment: the plan shows it, the submit does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from pytest_remex.collect.pipeline import Collected, Place, collect
from pytest_remex.collect.query import job_from, query
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.interaction import Progress
from pytest_remex.launch.options import Resubmit
from pytest_remex.records.index import RecordedRun


class Decision(StrEnum):
    """What a submit does with an experiment."""

    NEW = "submit: it has no run"
    FINISH = "go on with the launch that was interrupted"
    AGAIN = "submit once more, whatever became of its run"
    RETRY = "submit once more: its job failed"
    ASK = "look at its job's state, which decides"
    ALREADY = "nothing: it has a run"


def decide(run: RecordedRun | None, resubmit: Resubmit, job: Job | None = None) -> Decision:
    """Return what a submit does with an experiment.

    Args:
        run: The run that the experiment has, if it has one.
        resubmit: What the user chose.
        job: The run's job, if its state is known.

    Returns:
        The decision. `ASK` comes only where `job` decides and is not given.
    """
    if run is None:
        return Decision.NEW
    if not run.entry.stage.settled:
        return Decision.FINISH
    match resubmit:
        case Resubmit.ALWAYS:
            return Decision.AGAIN
        case Resubmit.NEVER:
            return Decision.ALREADY
    if job is None:
        return Decision.ASK
    return Decision.RETRY if job.state.failed else Decision.ALREADY


def recorded_job(run: RecordedRun) -> Job | None:
    """Return a run's job as a status or a collect last saw it; None where none saw its end."""
    return job_from(run.entry.ended) if run.entry.ended else None


class Retries:
    """The jobs of a batch's runs that may be retried: one query, and one fetch for those timed out.

    Raises `RemoteError` where the remote cannot be asked, and `RecordError` where what it says
    cannot be recorded.
    """

    def __init__(self, runs: Sequence[RecordedRun], place: Place, progress: Progress) -> None:
        self._jobs = query(runs, place.connect)
        late = [run for run in runs if self._job(run).state is JobState.TIMEOUT]
        fetched = collect(late, place, progress, offline=False, partial=False) if late else []
        self._timed_out: Mapping[str, Collected] = {
            each.run.entry.directory: each for each in fetched
        }

    def allow(self, run: RecordedRun | None) -> bool:
        """Return whether to submit: not where a run is alive, ended well, or is unknown."""
        return run is None or decide(run, Resubmit.FAILED, self._job(run)) is Decision.RETRY

    def timed_out(self, run: RecordedRun) -> Collected | None:
        """Return what a run left that reached its time limit; None for any other."""
        return self._timed_out.get(run.entry.directory)

    def _job(self, run: RecordedRun) -> Job:
        return self._jobs[run.entry.directory]
