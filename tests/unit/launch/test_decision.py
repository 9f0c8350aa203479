"""What a submit does with an experiment."""

import pytest

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.launch.decision import Decision, decide, recorded_job
from pytest_remex.launch.options import Resubmit
from pytest_remex.model import Commit
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import RunRecord, Stage
from pytest_remex.sbatch.header import parse_header

HEADER = parse_header("#!/bin/sh\n")
FAILED = {state for state in JobState if state.failed}


def recorded(stage, final=None):
    """Return a run that its launch record has at this stage."""
    commit = Commit("c" * 40, "t" * 40, "b" * 40)
    run = RunRecord("n", "i", {}, {}, commit, "d", HEADER, stage=stage, final=final)
    return RecordedRun(None, run)


@pytest.mark.parametrize("resubmit", Resubmit)
def test_new(resubmit):
    """An experiment without a run is submitted, whatever the user chose."""
    assert decide(None, resubmit) is Decision.NEW


@pytest.mark.parametrize("resubmit", Resubmit)
@pytest.mark.parametrize("stage", [stage for stage in Stage if not stage.settled])
def test_interrupted(stage, resubmit):
    """A run whose launch was interrupted at any stage is finished, whatever the user chose."""
    assert decide(recorded(stage), resubmit, Job("1", JobState.FAILED)) is Decision.FINISH


@pytest.mark.parametrize("state", JobState)
def test_submitted(state):
    """A run that was submitted is left alone, submitted again, or retried where its job failed."""
    run, job = recorded(Stage.RELEASED), Job("1", state)
    assert decide(run, Resubmit.NEVER, job) is Decision.ALREADY
    assert decide(run, Resubmit.ALWAYS, job) is Decision.AGAIN
    expected = Decision.RETRY if state in FAILED else Decision.ALREADY
    assert decide(run, Resubmit.FAILED, job) is expected


def test_state_that_is_not_known():
    """Only a retry needs to know a job's state."""
    run = recorded(Stage.RELEASED)
    assert decide(run, Resubmit.FAILED) is Decision.ASK
    assert decide(run, Resubmit.NEVER) is Decision.ALREADY
    assert decide(run, Resubmit.ALWAYS) is Decision.AGAIN


def test_recorded_job():
    """A job's state is known from the record once a query has seen its end."""
    assert recorded_job(recorded(Stage.RELEASED)) is None
    job = recorded_job(recorded(Stage.RELEASED, Job("7", JobState.TIMEOUT)))
    assert (job.id, job.state) == ("7", JobState.TIMEOUT)
