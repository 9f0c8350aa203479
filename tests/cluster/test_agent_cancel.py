"""The agent cancels our jobs on a real Slurm, and never others with a reused number."""

import pytest
from support.agent_launch import held
from support.kills import forgotten, occupy

from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import Array
from pytest_remex.common.protocol import Cancelled, NotCancelled


def cancel(launch, *jobs):
    """Cancel jobs; return the message of each that was not, None for one that was."""
    events = launch.cancel(*jobs)
    assert [event.job for event in events] == list(jobs)
    assert {*map(type, events)} <= {Cancelled, NotCancelled}
    return [event.message if isinstance(event, NotCancelled) else None for event in events]


def state(launch, job):
    """Return a job's state as Slurm has it."""
    return {one.id: one.state for one in launch.cluster.jobs()}[job]


def another(launch, *options):
    """Submit a job of the same user in a folder that is not ours."""
    command = ["sbatch", "--parsable", "--hold", "--wrap=true", "--output=/dev/null", *options]
    return launch.cluster.run(*command).strip()


def test_a_number_that_slurm_gave_to_another_job_is_left_alone(launch, tmp_path):
    """If a job was lost in a crash, another job with its number is not cancelled."""
    with forgotten(launch.cluster, tmp_path):
        job = held(launch.submit(launch.add("r")))
        assert launch.query(("r", job))[0]["r"].state is JobState.HELD
    assert occupy(launch.cluster, [job]) == {job}
    (why,) = cancel(launch, job)
    assert f"lost job {job}" in why
    assert "--remex-retry" in why
    assert state(launch, job) == "PENDING"


def test_others_are_left_alone_beside_ours(launch):
    """Of several numbers only our jobs are cancelled, not an array's task elsewhere."""
    job = held(launch.submit(launch.add("r")))
    other, array = another(launch), another(launch, "--array=0-1")
    done, *refused = cancel(launch, job, other, f"{array}_1")
    assert done is None
    assert ["gave its id to another job" in why for why in refused] == [True, True]
    assert state(launch, job) == "CANCELLED"
    assert [state(launch, one) for one in (other, f"{array}_0", f"{array}_1")] == ["PENDING"] * 3


def test_an_unknown_number_is_told(launch):
    """A job that Slurm does not list is not reported as cancelled."""
    assert cancel(launch, "987654") == [
        "Slurm no longer lists job 987654: --remex-status shows what became of it"
    ]


def test_nothing_is_cancelled_unseen(launch):
    """Where Slurm does not say whose a number is, nothing is cancelled, and the fix is named."""
    job = held(launch.submit(launch.add("r")))
    launch.shims.put("echo 'no answer' >&2; exit 1", "squeue")
    (why,) = cancel(launch, job)
    assert why == "squeue failed: no answer: run the same command again"
    launch.shims.remove()
    assert state(launch, job) == "PENDING"


@pytest.mark.parametrize("array", [None, Array([], "#!/bin/sh")], ids=["single", "array"])
def test_a_job_that_squeue_does_not_list_is_cancelled(launch, array):
    """A listing that lacks a job is no answer: the controller says whether it is ours."""
    submission = launch.add("r")
    if array:
        submission = submission._replace(key="array-1", array=array, comment="remex:a")
    (event,) = launch.submit(submission)
    job = event.jobs["r"]
    launch.shims.put("exit 0", "squeue")
    assert cancel(launch, job) == [None]
    launch.shims.remove()
    # a pending task of an array that is cancelled alone leaves no trace
    states = {one.id: one.state for one in launch.cluster.jobs()}
    assert states.get(job, "CANCELLED") == "CANCELLED"
