"""A job is reliably released, whatever squeue shows, and again if Slurm lost the release."""

import pytest
from support.agent_launch import held

from pytest_remex.common.jobs import RELEASED_AGAIN, JobState
from pytest_remex.common.parts import Array
from pytest_remex.common.protocol import NotReleased, Released

CACHED = '[ -f {cache} ] || "$REAL" "$@" > {cache}; cat {cache}; exit 0'
"""A squeue that tells for ever what it told first."""


@pytest.fixture
def launch(cluster, launch):
    """Return a launch on a cluster that starts no jobs."""
    cluster.down()
    return launch


def stale(launch, folder):
    """Have squeue tell from now on what it tells now."""
    cache = folder / "cache"
    launch.shims.put(CACHED.format(cache=cache), "squeue")
    launch.query(("none", "99999"))


def array_of(launch, *names):
    """Return the submission of an array of runs."""
    for name in names:
        launch.add(name)
    return launch.add("r")._replace(
        key="array-1", directories=list(names), array=Array([], "#!/bin/sh"), comment="remex:a"
    )


def test_a_job_that_squeue_does_not_list_yet_is_released(launch, tmp_path):
    """A listing from before the submission proves nothing: the controller is asked."""
    stale(launch, tmp_path)
    jobs = [held(launch.submit(launch.add(name))) for name in ("a", "b")]
    assert launch.release(*jobs) == [Released(jobs)]
    assert [launch.jobs(name)[0].held for name in ("a", "b")] == [False, False]


def test_a_job_that_nobody_can_tell_of_is_not_said_to_be_released(launch, tmp_path):
    """If the listing is stale and the controller does not answer, the job counts as held."""
    stale(launch, tmp_path)
    job = held(launch.submit(launch.add("r")))
    launch.shims.put("echo 'Unable to contact slurm controller' >&2; exit 1", "scontrol")
    released, refused = launch.release(job)
    assert released == Released([])
    assert isinstance(refused, NotReleased)
    assert "Unable to contact" in refused.message


def test_a_release_that_slurm_refuses(launch):
    """A job that is still held after it is not said to be released; one that is not held is."""
    jobs = [held(launch.submit(launch.add(name))) for name in ("a", "b")]
    launch.cluster.run("scontrol", "release", jobs[1])
    refusing = "echo 'slurm_update error: Access/permission denied' >&2; exit 1"
    launch.shims.put(f'if [ "$1" = release ]; then {refusing}; fi', "scontrol")
    released, refused = launch.release(*jobs)
    assert released == Released([jobs[1]])
    assert (refused.job, "permission denied" in refused.message) == (jobs[0], True)
    assert "scontrol release failed" in refused.message
    jobs[1] = held(launch.submit(launch.add("c")))
    _, *refused = launch.release(*jobs)
    assert all("scontrol release of 2 jobs failed" in each.message for each in refused)
    assert [each.job for each in refused] == jobs


def test_a_release_that_slurm_lost_is_made_again(launch):
    """A query releases what its user holds though its release was recorded, and nothing else."""
    jobs = {name: held(launch.submit(launch.add(name))) for name in ("lost", "kept")}
    answers, _ = launch.query(*jobs.items(), released={"lost"})
    assert (answers["lost"].state, answers["lost"].reason) == (JobState.PENDING, RELEASED_AGAIN)
    assert answers["kept"].state is JobState.HELD
    assert [launch.jobs(name)[0].held for name in jobs] == [False, True]


def test_a_brief_query_reports_what_it_released(launch):
    """It leaves out jobs that wait as they should, and reports a release that it made again."""
    jobs = {name: held(launch.submit(launch.add(name))) for name in ("lost", "kept")}
    answers, _ = launch.query(*jobs.items(), released={"lost"}, brief=True)
    assert {name: job.reason for name, job in answers.items()} == {"lost": RELEASED_AGAIN}


def test_a_listing_from_before_the_release(launch, tmp_path):
    """If squeue answers from a cache, what was released is not said to be released again."""
    job = held(launch.submit(launch.add("r")))
    stale(launch, tmp_path)
    launch.release(job)
    launch.shims.put(program="scontrol")
    answers, _ = launch.query(("r", job), released={"r"})
    assert answers["r"].state is JobState.PENDING
    assert "older than its release" in answers["r"].reason
    assert "release" not in {call.arguments.split()[0] for call in launch.shims.calls("scontrol")}


def test_the_release_of_an_array_is_made_again(launch):
    """All its tasks are released by one command, after a look at the controller."""
    (event,) = launch.submit(array_of(launch, "a", "b", "c"))
    launch.shims.put(program="scontrol")
    answers, _ = launch.query(*event.jobs.items(), released={"a", "b", "c"})
    assert {job.state for job in answers.values()} == {JobState.PENDING}
    assert [call.arguments.split()[0] for call in launch.shims.calls("scontrol")] == [
        "-o",
        "release",
    ]
    again, _ = launch.query(*event.jobs.items())
    assert {job.state for job in again.values()} == {JobState.PENDING}


def test_what_an_administrator_holds_stays_held(launch):
    """A hold by an administrator is not released."""
    job = held(launch.submit(launch.add("r")))
    launch.release(job)
    launch.cluster.run("scontrol", "hold", job)
    answers, _ = launch.query(("r", job), released={"r"})
    assert (answers["r"].state, answers["r"].reason) == (JobState.HELD, "JobHeldAdmin")


def test_a_job_of_the_number_elsewhere_is_not_released(launch, tmp_path):
    """If our job's number belongs to another job now, that job is not released."""
    command = ["sbatch", "--parsable", "--hold", "--wrap=true", "--output=/dev/null"]
    other = launch.cluster.run(*command, cwd=tmp_path).strip()
    launch.add("r")
    answers, _ = launch.query(("r", other), released={"r"})
    assert answers["r"].state is JobState.LOST
    assert {job.id: job.held for job in launch.cluster.jobs()}[other]


def test_a_forgotten_job_is_told_with_the_way_out(launch):
    """If Slurm answers and has no trace of a job, its experiment can be sent again on demand."""
    launch.add("r")
    job = launch.query(("r", "99999"), certain=True)[0]["r"]
    assert job.is_forgotten
    assert "--remex-retry=forgotten" in job.reason


@pytest.mark.parametrize(("program", "fault"), [("squeue", "exit 1"), ("scontrol", "exit 1")])
def test_a_source_that_failed_makes_no_job_forgotten(launch, program, fault):
    """Only Slurm's own answer counts."""
    launch.add("r")
    launch.shims.put(fault, program)
    job = launch.query(("r", "99999"), certain=True)[0]["r"]
    assert (job.state, job.is_forgotten) == (JobState.UNKNOWN, False)


def test_a_partial_listing_makes_no_live_job_forgotten(launch):
    """A squeue that leaves jobs out is found out by asking the controller for each of them."""
    jobs = {name: held(launch.submit(launch.add(name))) for name in ("a", "b")}
    launch.add("gone")
    launch.shims.put(f'"$REAL" "$@" | grep -v {jobs["a"]}; exit 0', "squeue")
    answers, _ = launch.query(*jobs.items(), ("gone", "99999"), certain=True)
    assert (answers["a"].state, answers["a"].source) == (JobState.HELD, "scontrol")
    assert answers["gone"].is_forgotten
