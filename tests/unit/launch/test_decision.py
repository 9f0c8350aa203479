"""The decisions of submit on an experiment."""

from types import SimpleNamespace

import pytest

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.launch.decision import Decision, KnownRuns, decide, recorded_job
from pytest_remex.launch.options import LaunchOptions, Resubmit
from pytest_remex.launch.recognition import EarlierRun
from pytest_remex.model import Commit
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import RunRecord, Stage
from pytest_remex.sbatch.script import parse_header

HEADER = parse_header("#!/bin/sh\n")
FAILED = {state for state in JobState if state.failed}
NEVER, RETRY, ALWAYS = (
    LaunchOptions(resubmit=each) for each in (Resubmit.NEVER, Resubmit.FAILED, Resubmit.ALWAYS)
)
OPTIONS = (NEVER, RETRY, ALWAYS)


def recorded(stage, final=None, *, own=True):
    """Return a run that its launch record, or that of another user, has at this stage."""
    commit = Commit("c" * 40, "t" * 40, "b" * 40)
    run = RunRecord("n", "i", {}, {}, commit, "d", HEADER, stage=stage, final=final)
    return RecordedRun(SimpleNamespace(owner="" if own else "bob"), run)


def known(stage):
    """Return what is known of an experiment whose run is at this stage."""
    return KnownRuns(recorded(stage))


def elsewhere(state=None):
    """Return what is known of an experiment whose point has a run on another base."""
    final = Job("1", state) if state else None
    return KnownRuns(earlier=EarlierRun(recorded(Stage.RELEASED, final), ("src/eos.f90",)))


@pytest.mark.parametrize("options", OPTIONS)
def test_new(options):
    """An experiment without a run is submitted, with any option."""
    assert decide(KnownRuns(), options) is Decision.NEW


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("stage", [stage for stage in Stage if not stage.settled])
def test_interrupted(stage, options):
    """A run whose launch was interrupted at any stage is finished, with any option."""
    assert decide(known(stage), options, Job("1", JobState.FAILED)) is Decision.FINISH


@pytest.mark.parametrize("stage", [stage for stage in Stage if not stage.settled])
def test_interrupted_elsewhere(stage):
    """A run that another user is submitting, or began to, is left to them."""
    assert decide(KnownRuns(recorded(stage, own=False)), NEVER) is Decision.ELSEWHERE


@pytest.mark.parametrize("stage", [stage for stage in Stage if not stage.settled])
def test_continued_elsewhere(stage):
    """A run that another client was continuing is not started again: only it has the command."""
    here = recorded(stage)
    there = here._replace(run=here.run._replace(job_number=2))
    assert decide(KnownRuns(there), NEVER) is Decision.ELSEWHERE
    assert decide(KnownRuns(there), RETRY) is Decision.ELSEWHERE
    assert decide(KnownRuns(there), ALWAYS) is Decision.AGAIN
    here = there._replace(run=there.run._replace(command="./re x100"))
    assert decide(KnownRuns(here), NEVER) is Decision.FINISH


@pytest.mark.parametrize("state", JobState)
def test_submitted(state):
    """A submitted run is not sent, sent again, or retried if its job failed."""
    run, job = known(Stage.RELEASED), Job("1", state)
    assert decide(run, NEVER, job) is Decision.ALREADY
    assert decide(run, ALWAYS, job) is Decision.AGAIN
    expected = Decision.RETRY if state in FAILED else Decision.ALREADY
    assert decide(run, RETRY, job) is expected


def test_state_that_is_not_known():
    """Only a retry needs to know a job's state."""
    run = known(Stage.RELEASED)
    assert decide(run, RETRY) is Decision.ASK
    assert decide(run, NEVER) is Decision.ALREADY
    assert decide(run, ALWAYS) is Decision.AGAIN


@pytest.mark.parametrize("options", OPTIONS)
def test_completed_on_another_base(options):
    """A point that completed on another base is sent to the new one only on request."""
    job = Job("1", JobState.COMPLETED)
    assert decide(elsewhere(JobState.COMPLETED), options, job) is Decision.OTHER_BASE
    new_base = LaunchOptions(resubmit=options.resubmit, new_base=True)
    assert decide(elsewhere(JobState.COMPLETED), new_base, job) is Decision.NEW


def test_failed_on_another_base():
    """A point that failed on another base is sent by a retry, and not without one."""
    run, job = elsewhere(JobState.FAILED), Job("1", JobState.FAILED)
    assert decide(run, NEVER, job) is Decision.OTHER_BASE
    assert decide(run, RETRY, job) is Decision.RETRY
    assert decide(run, RETRY) is Decision.ASK


def test_failed_here_and_completed_elsewhere():
    """A retry does not send a point that failed on this base and completed on another."""
    runs = KnownRuns(known(Stage.RELEASED).run, elsewhere(JobState.COMPLETED).earlier)
    assert decide(runs, RETRY, Job("1", JobState.FAILED)) is Decision.ALREADY


@pytest.mark.parametrize("stage", [stage for stage in Stage if not stage.settled])
def test_interrupted_on_another_base(stage):
    """A run on another base that is not submitted yet has no job to retry."""
    earlier = EarlierRun(recorded(stage), ("src/eos.f90",))
    assert decide(KnownRuns(earlier=earlier), RETRY) is Decision.OTHER_BASE


def test_recorded_job():
    """A job's state is known from the record once a query has seen its end."""
    assert recorded_job(None) is None
    assert recorded_job(recorded(Stage.RELEASED)) is None
    job = recorded_job(recorded(Stage.RELEASED, Job("7", JobState.TIMEOUT)))
    assert (job.id, job.state) == ("7", JobState.TIMEOUT)


CHECK = LaunchOptions(resubmit=Resubmit.CHECK)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("PASSED", Decision.ALREADY),
        ("SKIPPED", Decision.ALREADY),
        ("FAILED", Decision.RETRY),
        ("", Decision.UNJUDGED),
    ],
)
def test_retry_by_verdict(verdict, expected):
    """With check, a completed run is retried if its check failed; unknown is distinguished."""
    run = KnownRuns(recorded(Stage.RELEASED), verdict=verdict)
    completed = Job("1", JobState.COMPLETED)
    assert decide(run, CHECK, completed) is expected
    assert decide(run, RETRY, completed) is Decision.ALREADY
    assert decide(run, CHECK) is Decision.ASK
    assert decide(run, CHECK, Job("1", JobState.RUNNING)) is Decision.ALREADY
    assert decide(run, CHECK, Job("1", JobState.UNKNOWN)) is Decision.ALREADY
    assert decide(run, CHECK, Job("1", JobState.TIMEOUT)) is Decision.RETRY


def test_verdict_here_and_run_elsewhere():
    """A check that failed on the current base is retried, even if it passed on another."""
    earlier = elsewhere(JobState.COMPLETED).earlier
    completed, failed = Job("1", JobState.COMPLETED), Job("1", JobState.FAILED)
    runs = KnownRuns(recorded(Stage.RELEASED), earlier, verdict="FAILED")
    assert decide(runs, CHECK, completed) is Decision.RETRY
    assert decide(runs, RETRY, completed) is Decision.ALREADY
    assert decide(runs, CHECK, failed) is Decision.ALREADY


def test_verdict_elsewhere():
    """A run that completed and failed its check on another base is retried on the current."""
    earlier, completed = elsewhere(JobState.COMPLETED).earlier, Job("1", JobState.COMPLETED)
    assert decide(KnownRuns(None, earlier, verdict="FAILED"), CHECK, completed) is Decision.RETRY
    assert decide(KnownRuns(None, earlier, verdict="PASSED"), CHECK, completed) is (
        Decision.OTHER_BASE
    )


@pytest.mark.parametrize("state", [*JobState, None])
def test_the_recipe_of_a_retry(state):
    """The next one after a failure of the program or its check; else, and at the end, the same."""
    job = Job("1", state) if state else None
    run = recorded(Stage.RELEASED)
    for number in range(3):
        made = RecordedRun(run.record, run.run._replace(recipe=number))
        known = KnownRuns(made, recipes=3)
        moves = state in {JobState.FAILED, JobState.COMPLETED} and number < 2
        assert known.recipe_after(job) == number + moves
        assert known.has_next_recipe == (number < 2)
        assert KnownRuns(made).recipe_after(job) == number
    assert KnownRuns(recipes=3).recipe_after(job) == 0


@pytest.mark.parametrize(
    ("verdict", "decision"),
    [("", Decision.UNJUDGED), ("FAILED", Decision.RETRY), ("PASSED", Decision.ALREADY)],
)
def test_a_failed_check_with_a_recipe_left(verdict, decision):
    """A plain retry tries the next recipe; if none is left, the run is not sent."""
    done = Job("1", JobState.COMPLETED)
    known = KnownRuns(recorded(Stage.RELEASED), verdict=verdict, recipes=2)
    assert decide(known, RETRY, done) is decision
    assert decide(known._replace(recipes=1), RETRY, done) is Decision.ALREADY
