"""Decides what a submit does with an experiment: the plan shows it, the submit does it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pytest_remex.collect.manifest import read_outputs
from pytest_remex.common.jobs import Job
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


def decide(
    recorded: RecordedRun | None,
    resubmit: Resubmit,
    job: Job | None = None,
    *,
    purged: bool = False,
) -> Decision:
    """Return what a submit does with an experiment.

    Args:
        recorded: The run that the experiment has, if it has one.
        resubmit: What the user chose.
        job: The run's job, if its state is known.
        purged: What the run left is gone, and was not fetched: see `is_purged`.

    Returns:
        The decision. `ASK` comes only where `job` decides and is not given.
    """
    if recorded is None:
        return Decision.NEW
    if not recorded.run.stage.settled:
        return Decision.FINISH
    match resubmit:
        case Resubmit.ALWAYS:
            return Decision.AGAIN
        case Resubmit.NEVER:
            return Decision.ALREADY
    if job is None:
        return Decision.ASK
    return Decision.RETRY if purged or job.state.failed else Decision.ALREADY


def is_purged(recorded: RecordedRun, folder: Path) -> bool:
    """Return whether a collect found a run directory gone that still held what it wanted.

    `folder` is where outputs are fetched to.
    """
    return recorded.run.stage.settled and read_outputs(folder / recorded.run.directory).gone


def recorded_job(recorded: RecordedRun) -> Job | None:
    """Return a run's job as a status or a collect last saw it; None where none saw its end."""
    return recorded.run.final
