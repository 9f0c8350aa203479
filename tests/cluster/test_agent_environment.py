"""Variables of a login environment change neither submissions nor parsing of Slurm."""

import pytest
from support.agent_launch import Launch, held
from support.sites import WITH_ACCOUNTING

from pytest_remex.common.jobs import JobState
from pytest_remex.common.protocol import Cancelled, Rejected, SubmitWarning

SCRIPT = "#!/bin/sh\n#SBATCH -o out\nenv\n"
HARMFUL = {
    "SBATCH_ARRAY_INX": "0-2", "SBATCH_WAIT": "1", "SBATCH_OUTPUT": "/dev/null",
    "SBATCH_ERROR": "/dev/null", "SBATCH_INPUT": "/nowhere", "SBATCH_EXPORT": "NONE",
    "SBATCH_MEM_PER_NODE": "1", "SBATCH_JOB_NAME": "mine", "SBATCH_OPEN_MODE": "append",
    "SBATCH_NO_REQUEUE": "1", "SBATCH_EXCLUSIVE": "", "SBATCH_GET_USER_ENV": "1",
    "SBATCH_GRES": "gpu:9", "SBATCH_SIGNAL": "B:KILL@1", "SBATCH_COMMENT": "mine",
    "SLURM_HINT": "nomultithread", "SLURM_EXIT_ERROR": "0", "SLURM_UMASK": "0777",
    "SQUEUE_FORMAT": "%i", "SQUEUE_STATES": "R", "SQUEUE_USERS": "nobody", "SQUEUE_PARTITION": "no",
    "SQUEUE_SORT": "-i", "SACCT_FORMAT": "JobID", "SLURM_TIME_FORMAT": "relative",
    "SCANCEL_STATE": "RUNNING", "SCANCEL_INTERACTIVE": "true", "SCANCEL_NAME": "nobody",
    "SLURM_BITSTR_LEN": "4",
}  # fmt: skip
ALLOCATION = {
    "SLURM_JOB_ID": "1", "SLURM_JOBID": "1", "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_JOB_ID": "1",
    "SLURM_CPUS_PER_TASK": "64", "SLURM_MEM_PER_CPU": "7", "SLURM_NTASKS_PER_NODE": "9",
    "SLURM_CPU_BIND": "quiet,mask_cpu:0x1", "SLURM_RESTART_COUNT": "5",
}  # fmt: skip


@pytest.fixture
def login(site, tmp_path, monkeypatch):
    """Return a launch whose agents have variables of their own; call it with them."""
    made = Launch(site, tmp_path / "runs")

    def set_up(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return made

    yield set_up
    made.close()


def submitted(launch, submission):
    """Submit and return the job."""
    events = launch.submit(submission)
    return held([event for event in events if not isinstance(event, SubmitWarning)])


def ran(launch, name, job):
    """Let a held job run and give the environment that its script printed."""
    assert launch.release(job)[0].jobs == [job]
    launch.cluster.wait(job.partition(";")[0])
    lines = (launch.runs / name / "out").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.mark.parametrize("variables", [HARMFUL, ALLOCATION], ids=["harmful", "allocation"])
def test_a_job_is_what_its_script_says(login, variables):
    """One job, with its output in its run directory and nothing of the login's Slurm settings."""
    launch = login(variables)
    job = submitted(launch, launch.add("r", SCRIPT))
    seen = ran(launch, "r", job)
    assert seen["SLURM_JOB_ID"] == job
    assert seen.get("SLURM_UMASK") != "0777"
    set_by_slurm = {"SLURM_JOB_ID", "SLURM_JOBID", "SLURM_UMASK"}
    assert {name for name in variables if name in seen} <= set_by_slurm
    answers, _ = launch.query(("r", job))
    assert answers["r"].state is JobState.COMPLETED


def test_programs_that_read_options_as_posix_says(login):
    """With POSIXLY_CORRECT set, jobs are still found by their numbers, with their exit codes."""
    launch = login({"POSIXLY_CORRECT": "1"})
    job = submitted(launch, launch.add("r", f"{SCRIPT}exit 3\n"))
    ran(launch, "r", job)
    answers, _ = launch.query(("r", job))
    assert (answers["r"].state, answers["r"].exit_code) == (JobState.FAILED, 3)


def test_what_did_not_count_is_told_once(login):
    """A warning names sbatch's variables that were left out; chosen ones count silently."""
    launch = login({"SBATCH_OUTPUT": "x", "SBATCH_WAIT": "1", "SBATCH_QOS": "", "SQUEUE_SORT": "i"})
    events = launch.submit(launch.add("r"), launch.add("s"))
    (warning,) = [event for event in events if isinstance(event, SubmitWarning)]
    assert warning.message.startswith("SBATCH_OUTPUT, SBATCH_WAIT of your login environment")


def test_a_partition_of_the_login_counts(login):
    """A site's or user's partition reaches sbatch: one that is not there is refused."""
    launch = login({"SBATCH_PARTITION": "nowhere"})
    (event,) = launch.submit(launch.add("r"))
    assert isinstance(event, Rejected)
    assert "nvalid partition" in event.message


def test_cancel_is_immune(login):
    """Filters for scancel do not keep a job alive."""
    launch = login({"SCANCEL_STATE": "RUNNING", "SCANCEL_NAME": "x", "SCANCEL_USER": "nobody"})
    job = submitted(launch, launch.add("r"))
    assert launch.cancel(job) == [Cancelled(job)]
    assert launch.jobs("r")[0].state == "CANCELLED"


@WITH_ACCOUNTING
@pytest.mark.parametrize("variable", ["SBATCH_CLUSTERS", "SLURM_CLUSTERS"])
@pytest.mark.parametrize("lost", [False, True])
def test_a_cluster_of_the_login_is_asked_too(login, cluster, variable, lost):
    """A job on a named cluster has its name in its id, even if sbatch's answer was lost."""
    config = cluster.run("scontrol", "show", "config")
    name = config.partition("ClusterName")[2].split()[1]
    launch = login({variable: name})
    if lost:
        launch.shims.put('"$REAL" "$@" >/dev/null; echo "sbatch: error: lost" >&2; exit 1')
    job = submitted(launch, launch.add("r", SCRIPT))
    number, _, there = job.partition(";")
    assert there == name
    assert ran(launch, "r", job)["SLURM_JOB_ID"] == number
