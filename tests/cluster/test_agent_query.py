"""The agent tells states from a real Slurm, from whichever source knows; it never guesses."""

import json
import os
import shutil
import time

import pytest
from support.agent_launch import held
from support.daemons import wait_until
from support.kills import occupy
from support.query_faults import UNREACHABLE, refuses
from support.sites import WITH_ACCOUNTING, WITH_AND_WITHOUT_ACCOUNTING

from pytest_remex.common.jobs import JobState
from pytest_remex.common.protocol import SLURM, LookAtHost, NotReleased


def run(launch, name, script):
    """Run a script to its end and return its job's id."""
    job = held(launch.submit(launch.add(name, script)))
    launch.release(job)
    launch.cluster.wait(job)
    return job


def ask(launch, name, job):
    """Ask for one job."""
    return launch.query((name, job))[0][name]


@WITH_AND_WITHOUT_ACCOUNTING
def test_a_finished_job(launch):
    """State, exit code and signal are reported while the controller remembers the job."""
    good = run(launch, "good", "#!/bin/sh\n")
    bad = run(launch, "bad", "#!/bin/sh\n#SBATCH -t 2\nexit 7\n")
    killed = run(launch, "killed", "#!/bin/sh\nkill -9 $$\n")
    assert (ask(launch, "good", good).state, ask(launch, "good", good).exit_code) == (
        "COMPLETED",
        0,
    )
    answer = ask(launch, "bad", bad)
    assert (answer.state, answer.exit_code, answer.time_limit) == ("FAILED", 7, 120.0)
    assert ask(launch, "killed", killed).signal == 9


@WITH_AND_WITHOUT_ACCOUNTING
def test_live_jobs(launch):
    """Held, pending and running jobs are distinguished."""
    job = held(launch.submit(launch.add("r", "#!/bin/sh\ntouch on\nsleep 60\n")))
    assert ask(launch, "r", job).state == "HELD"
    launch.cluster.down()
    launch.release(job)
    assert ask(launch, "r", job).state == "PENDING"
    launch.cluster.up()
    wait_until((launch.runs / "r" / "on").exists)
    assert ask(launch, "r", job).state == "RUNNING"
    launch.cluster.run("scancel", job)
    wait_until(lambda: ask(launch, "r", job).state == "CANCELLED")


def test_a_final_state_is_remembered(launch):
    """A state that was seen once is reported after Slurm has forgotten the job."""
    job = run(launch, "r", "#!/bin/sh\nexit 3\n")
    seen = ask(launch, "r", job)
    launch.shims.put("exit 0", "squeue")
    launch.shims.put("exit 1", "scontrol")
    launch.shims.missing("sacct")
    assert ask(launch, "r", job) == seen


def test_the_exit_code_file_is_the_last_source(launch):
    """Without accounting, the state of a forgotten job comes from the exit code that it wrote."""
    job = run(launch, "r", "#!/bin/sh\ntrap 'echo $? > .remex/exit' EXIT\nexit 5\n")
    launch.shims.put("exit 0", "squeue")
    launch.shims.put("exit 1", "scontrol")
    answer = ask(launch, "r", job)
    assert (answer.state, answer.exit_code, answer.source) == ("FAILED", 5, "exit file")


def test_scontrol_is_asked_for_what_squeue_hides(launch):
    """A job that squeue does not list is looked up in the controller."""
    job = run(launch, "r", "#!/bin/sh\nexit 4\n")
    launch.shims.put("exit 0", "squeue")
    answer = ask(launch, "r", job)
    assert (answer.state, answer.exit_code, answer.source) == ("FAILED", 4, "scontrol")


def test_what_nobody_knows_is_unknown(launch):
    """A job without a source is UNKNOWN and says so; a source that failed is named."""
    launch.add("r")
    answer = ask(launch, "r", "99999")
    assert (answer.state, answer.exit_code) == ("UNKNOWN", None)
    assert "no accounting" in answer.reason
    with launch.cluster.controller.stopped():
        answer = ask(launch, "r", "99999")
    assert answer.state == "UNKNOWN"
    assert "squeue failed" in answer.reason


@WITH_ACCOUNTING
def test_accounting_answers_for_a_job_that_the_controller_forgot(launch):
    """After MinJobAge sacct reports the job, whenever it was submitted."""
    job = run(launch, "r", "#!/bin/sh\nsleep 1\nexit 6\n")
    launch.shims.put("exit 0", "squeue")

    def from_accounting():
        found = ask(launch, "r", job)
        return found if found.source == "sacct" else None

    found = wait_until(from_accounting)
    assert (found.state, found.exit_code) == ("FAILED", 6)


@WITH_ACCOUNTING
def test_accounting_answers_for_a_job_whose_files_were_touched(launch):
    """Files that were touched, as against a purge, or copied do not hide the job that made them."""
    days = 40 * 86400
    stamp = time.strftime("%Y_%m_%d_%H_%M_%S", time.localtime(time.time() - days))
    name = f"main_tams_time_{stamp}_sha_0123456789ab"
    long = held(launch.submit(launch.add("long", "#!/bin/sh\nsleep 600\n")))
    launch.release(long)
    job = run(launch, name, "#!/bin/sh\n")
    last = run(launch, "last", "#!/bin/sh\n")
    wait_until(lambda: ask(launch, "last", last).source == "sacct")
    (launch.runs / name / ".remex" / "state.json").unlink(missing_ok=True)
    (launch.runs / name / ".remex" / "run.json").write_text("{}")
    launch.cluster.accounting.age(job, days)
    launch.shims.put("exit 0", "squeue")
    launch.shims.put(refuses("slurm_load_jobs error: Invalid job id specified"), "scontrol")
    answer = ask(launch, name, job)
    assert (answer.state, answer.source) == ("COMPLETED", "sacct")


@WITH_ACCOUNTING
def test_accounting_answers_for_a_job_of_a_clock_ahead(launch):
    """A forgotten job is found if the controller's clock is ahead of the login node's."""
    job = run(launch, "r", "#!/bin/sh\n")
    wait_until(lambda: ask(launch, "r", job).source == "sacct")
    (launch.runs / "r" / ".remex" / "state.json").unlink(missing_ok=True)
    launch.cluster.accounting.age(job, -600)
    launch.shims.put("exit 0", "squeue")
    launch.shims.put(refuses("slurm_load_jobs error: Invalid job id specified"), "scontrol")
    answer = ask(launch, "r", job)
    assert (answer.state, answer.source) == ("COMPLETED", "sacct")


@WITH_ACCOUNTING
def test_accounting_that_is_down_is_no_answer(launch):
    """With slurmdbd stopped a forgotten job is UNKNOWN, and sacct is named."""
    launch.add("r")
    with launch.cluster.accounting.slurmdbd.stopped():
        answer = ask(launch, "r", "99999")
    assert answer.state == "UNKNOWN"
    assert "sacct failed" in answer.reason


@WITH_AND_WITHOUT_ACCOUNTING
def test_a_job_whose_number_went_to_another_is_lost(launch):
    """A number that Slurm gave out twice, as it can after a crash, is the later job's."""
    first = held(launch.submit(launch.add("first")))
    launch.add("r")
    assert ask(launch, "r", first).state == "LOST"
    assert ask(launch, "first", first).state == "HELD"


@WITH_AND_WITHOUT_ACCOUNTING
def test_no_job_is_lost_that_another_cluster_may_have(launch):
    """Where two clusters share a runs folder, a number that this one gave to a job proves nothing.

    The reason names the other cluster. Nor does it where the name of this one is not known.
    """
    agent = launch.agent()
    agent.ask(LookAtHost("", str(launch.runs), SLURM))
    first = held(launch.submit(launch.add("first"), agent=agent))
    launch.add("r")
    launch.shims.put(
        '"$REAL" "$@" | sed "s/^\\(ClusterName *= \\).*/\\1other/"; exit 0', "scontrol"
    )
    answer = ask(launch, "r", first)
    assert answer.state == "UNKNOWN"
    assert "(this is other)" in answer.reason
    assert "--remex-retry=forgotten" in answer.reason
    launch.shims.put('[ "$*" = "show config" ] && exit 1; exec "$REAL" "$@"', "scontrol")
    assert ask(launch, "r", first).state == "UNKNOWN"
    launch.shims.put('exec "$REAL" "$@"', "scontrol")
    assert ask(launch, "r", first).state == "LOST"


@WITH_ACCOUNTING
def test_a_job_is_lost_only_where_accounting_proves_it(launch):
    """Accounts from before and after it, none of it, and the controller's word make a job LOST.

    An account that only the list of all jobs has is one of it.
    """
    run(launch, "a", "#!/bin/sh\n")
    last = run(launch, "b", "#!/bin/sh\n")
    wait_until(lambda: ask(launch, "b", last).source == "sacct")
    launch.add("r")
    assert ask(launch, "r", str(int(last) + 1)).state == "UNKNOWN"
    launch.shims.put(f'$REAL "$@" | grep -v ^{last}; exit 0', "sacct")
    newest = run(launch, "c", "#!/bin/sh\n")
    wait_until(lambda: ask(launch, "c", newest).source == "sacct")
    launch.shims.put("exit 0", "squeue")
    launch.shims.put(refuses(UNREACHABLE), "scontrol")
    answer = ask(launch, "r", last)
    assert (answer.state, UNREACHABLE in answer.reason) == ("UNKNOWN", True)
    launch.shims.put(refuses("slurm_load_jobs error: Invalid job id specified"), "scontrol")
    hidden = f'$REAL "$@" | grep -v ^{last}; exit 0'
    launch.shims.put(f'case " $* " in *" -j "*) {hidden};; esac; exec $REAL "$@"', "sacct")
    assert ask(launch, "r", last).state == "UNKNOWN"
    launch.shims.put(hidden, "sacct")
    wait_until(lambda: ask(launch, "r", last).state == "LOST")
    (launch.runs / "r/.remex/job").write_text(last)
    os.utime(launch.runs / "r/.remex/job", (0, 0))
    answer = ask(launch, "r", last)
    assert (answer.state, answer.is_forgotten) == ("UNKNOWN", True)
    assert f"job {last} has begun, and Slurm no longer knows how it ended" in answer.reason


@WITH_AND_WITHOUT_ACCOUNTING
def test_a_job_that_ended_before_numbers_began_again(launch, tmp_path):
    """It is not lost if another job gets its number: the accounting still has it, else it began."""
    cluster, state, kept = launch.cluster, launch.cluster.folder / "state", tmp_path / "state"
    with cluster.controller.stopped():
        shutil.copytree(state, kept)
    job = run(launch, "r", "#!/bin/sh\necho ran >> ran\n")
    known = cluster.accounting is not None
    accounted = ("sacct", "-X", "-n", "-j", job, "-o", "State")
    wait_until(lambda: not known or "COMPLETED" in cluster.run(*accounted))
    cluster.controller.kill()
    shutil.rmtree(state)
    shutil.copytree(kept, state)
    cluster.start()
    assert occupy(cluster, [job])
    wait_until(lambda: not known or "PENDING" in cluster.run(*accounted))
    answer = ask(launch, "r", job)
    assert answer.state == ("COMPLETED" if known else "UNKNOWN")
    assert answer.is_forgotten is not known


def test_a_requeued_job_lives_again(launch):
    """A recorded final state no longer counts once the site requeues the job."""
    job = run(launch, "r", "#!/bin/sh\nexit 1\n")
    assert ask(launch, "r", job).state == "FAILED"
    launch.cluster.run("scontrol", "requeue", job)
    wait_until(lambda: ask(launch, "r", job).state in ("PENDING", "RUNNING"))


def test_a_job_of_another_cluster_is_asked_for_there(launch):
    """An id with a cluster is asked for with -M."""
    name = launch.cluster.layout.name
    job = run(launch, "r", "#!/bin/sh\nexit 2\n")
    launch.shims.put(f'[ "$1 $2" = "-M {name}" ] && shift 2 || exit 1\nexec "$REAL" "$@"', "squeue")
    answer = ask(launch, "r", f"{job};{name}")
    assert (answer.id, answer.state) == (f"{job};{name}", "FAILED")


def test_many_jobs_take_one_squeue(launch, tmp_path):
    """The number of commands does not grow with the number of jobs."""
    launch.cluster.down()
    jobs = [(f"r{n}", held(launch.submit(launch.add(f"r{n}")))) for n in range(5)]
    calls = tmp_path / "calls"
    for program in ("squeue", "sacct", "scontrol", "sbatch", "scancel", "sinfo"):
        launch.shims.put(f"echo {program} >> {calls}", program)
    answers, _ = launch.query(*jobs)
    assert {job.state for job in answers.values()} == {"HELD"}
    assert calls.read_text() == "squeue\n"


def claim(launch, name, job):
    """Let a run directory say that its job completed."""
    folder = launch.runs / name / ".remex"
    (folder / "exit").write_text("0\n")
    (folder / "state.json").write_text(json.dumps({"id": job, "state": "COMPLETED"}))


def test_scontrol_goes_before_what_a_job_wrote(launch):
    """A file of the job in its run directory does not count if the controller knows better."""
    job = run(launch, "r", "#!/bin/sh\nexit 6\n")
    claim(launch, "r", job)
    launch.shims.put("exit 0", "squeue")
    answer = ask(launch, "r", job)
    assert (answer.state, answer.exit_code, answer.source) == ("FAILED", 6, "scontrol")


@WITH_ACCOUNTING
def test_sacct_goes_before_what_a_job_wrote(launch):
    """A file that a job wrote in its run directory does not count if accounting knows better."""
    job = run(launch, "r", "#!/bin/sh\nexit 6\n")
    wait_until(lambda: ask(launch, "r", job).source == "sacct")
    claim(launch, "r", job)
    launch.shims.put("exit 0", "squeue")
    launch.shims.put("exit 1", "scontrol")
    answer = ask(launch, "r", job)
    assert (answer.state, answer.exit_code, answer.source) == ("FAILED", 6, "sacct")


@WITH_ACCOUNTING
def test_accounts_that_cannot_be_asked_make_nobody_else_believed(launch):
    """While slurmdbd is down, what a forgotten job wrote does not count: Slurm may know better."""
    job = run(launch, "r", "#!/bin/sh\nexit 6\n")
    wait_until(lambda: ask(launch, "r", job).source == "sacct")
    claim(launch, "r", job)
    launch.shims.put("exit 0", "squeue")
    launch.shims.put(
        "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", "scontrol"
    )
    with launch.cluster.accounting.slurmdbd.stopped():
        assert ask(launch, "r", job).state == "UNKNOWN"
    answer = wait_until(lambda: (found := ask(launch, "r", job)).state == "FAILED" and found)
    assert (answer.exit_code, answer.source) == (6, "sacct")


HOSTILE = {
    "fifo": os.mkfifo,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "deep": lambda path: path.write_text("[" * 200_000),
    "type": lambda path: path.write_text('{"id": "1", "state": 3}'),
    "field": lambda path: path.write_text('{"id": "1"}'),
    "newer": lambda path: path.write_text('{"id": "1", "state": "FAILED", "format": 99}'),
}


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_damaged_file_is_its_runs_fault_alone(launch, forgotten):
    """Slurm's state counts while it has one; then the run is UNKNOWN, and others are reported."""
    names = [*HOSTILE, "good"]
    script = "#!/bin/sh\n"
    held_jobs = {name: held(launch.submit(launch.add(name, script))) for name in names}
    launch.release(*held_jobs.values())
    for name, job in held_jobs.items():
        launch.cluster.wait(job)
        claim(launch, name, job)
    for name, make in HOSTILE.items():
        path = launch.runs / name / ".remex" / "state.json"
        path.unlink()
        make(path)
    if forgotten:
        launch.shims.put("exit 0", "squeue")
        launch.shims.put("exit 1", "scontrol")
    jobs, _ = launch.query(*held_jobs.items())
    assert jobs["good"].state is JobState.COMPLETED
    for name in HOSTILE:
        assert jobs[name].state is (JobState.UNKNOWN if forgotten else JobState.COMPLETED), name
        assert ("state.json cannot be used" in jobs[name].reason) is forgotten


def test_a_run_directory_that_became_a_link(launch, tmp_path):
    """Its state is Slurm's, or UNKNOWN; nothing behind the link is read, and nothing written."""
    job = run(launch, "r", "#!/bin/sh\nexit 3\n")
    secret = tmp_path / "secret"
    (secret / ".remex").mkdir(parents=True)
    (secret / ".remex" / "exit").write_text("0\n")
    (launch.runs / "r").rename(tmp_path / "kept")
    (launch.runs / "r").symlink_to(secret)
    assert ask(launch, "r", job).state is JobState.FAILED
    assert [path.name for path in (secret / ".remex").iterdir()] == ["exit"]
    launch.shims.put("exit 0", "squeue")
    launch.shims.put("exit 1", "scontrol")
    answer = ask(launch, "r", job)
    assert (answer.state, answer.source) == (JobState.UNKNOWN, "")
    assert "is a link, and links are not followed" in answer.reason


@pytest.mark.parametrize("listed", [True, False])
def test_a_number_that_a_task_of_another_array_has(launch, tmp_path, listed):
    """A job lost in a crash is never confused with the task that got its number."""
    command = ["sbatch", "--parsable", "--array=0-2", "--output=/dev/null", "--wrap=true"]
    array = launch.cluster.run(*command, cwd=tmp_path).strip()
    launch.cluster.wait(array)
    launch.add("r")
    # the first task has a number of its own, the one after the array's
    number = str(int(array) + 1)
    if not listed:
        launch.shims.put("exit 0", "squeue")
    assert ask(launch, "r", number).state is JobState.LOST
    if listed:
        _, refused = launch.release(number)
        assert isinstance(refused, NotReleased)
        assert refused.lost
        (refused,) = launch.cancel(number)
        assert f"lost job {number}" in refused.message
