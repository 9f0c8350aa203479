"""Exactly once when Slurm fails: lost answers, late jobs, a dead controller, reused ids."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from support import shims as faults
from support.daemons import wait_until
from support.invariants import Snapshot, assert_clean, assert_once, user_jobs
from support.kills import forgotten, kill_at, occupy
from support.launches import finished, jobs_of
from support.sites import WITH_ACCOUNTING

REPOSITORY = Path(__file__).parents[2]
QUICK = {"MessageTimeout": "2"}
"""Seconds after which Slurm's answer is no longer awaited: doubt is short."""

SLOW = 5
"""Seconds by which an sbatch comes late, so that the controller has stopped before it."""

SINGLE_AND_ARRAY = pytest.mark.parametrize(
    "options", [(), ("--remex-array",)], ids=["single", "array"]
)

EACH_ITS_FAULT = """\
case $NUMBER in
1) {accepts};;
2) {refuses};;
3) {late};;
4) {chatters};;
5) {named};;
esac"""


@WITH_ACCOUNTING
def test_doubtful_answers(user, cluster, shims):
    """An answer that is lost, late, missing or in chatter gives one job, within one command."""
    fault = EACH_ITS_FAULT.format(
        accepts=faults.ACCEPTS_THEN_TIMES_OUT,
        refuses=faults.TIMES_OUT,
        late=faults.accepts_late(0.5),
        chatters=faults.CHATTERS,
        named=faults.NAMES_CLUSTER.replace("federation", cluster.layout.name),
    )
    shims.submissions(fault)
    user.sweep(*(1.0 + number for number in range(5)))
    before = Snapshot.of(user.repository)
    with cluster.changed(**QUICK):
        user.submit()
        assert_once(user, cluster, 5)
    assert_clean(user, before)
    assert user.collect().succeeded().text.count(" PASSED ") == 5


@pytest.mark.parametrize(
    "fault",
    [
        faults.says(1, faults.TIMES_OUT),
        faults.says(1, "exit 0"),
        faults.MISLEADS,
        faults.ANSWERS_THEN_FAILS,
    ],
    ids=["fails", "lies", "misleads", "answers"],
)
@SINGLE_AND_ARRAY
def test_a_number_that_is_no_job(user, cluster, shims, fault, options):
    """A number that is not the unit's job ends within one command with one job each."""
    before = Snapshot.of(user.repository)
    shims.submissions(fault, times=1)
    with cluster.changed(**QUICK):
        user.submit(*options)
        assert_once(user, cluster, 3)
    assert_clean(user, before)
    assert user.collect().succeeded().text.count(" PASSED ") == 3


@SINGLE_AND_ARRAY
def test_agent_killed(user, cluster, shims, before, options):
    """A far side killed by its own sbatch, whose job Slurm has, ends with one job each."""
    shims.submissions(faults.KILLS_PARENT, times=1)
    with cluster.changed(**QUICK):
        user.pytest("--remex-submit", *options).failed("run the same command again")
        user.submit(*options)
        assert_once(user, cluster, 3)
    assert_clean(user, before)


def test_late_job_is_swept(user, cluster, shims):
    """A job that Slurm accepts long after another was settled on never runs."""
    shims.submissions(faults.accepts_late(9), times=1)
    user.sweep(1.0)
    with cluster.changed(**QUICK):
        user.submit()
    wait_until(lambda: len(user_jobs(user, cluster)) == 2, "the late job is there", seconds=30)
    user.pytest("--remex-status").reported()
    assert_once(user, cluster, 1)


def test_no_controller(user, cluster, before):
    """Without a controller nothing is sent, and nothing is left; submit and plan say why."""
    with cluster.controller.stopped():
        user.pytest("--remex-submit").failed(
            "Slurm's controller does not answer", "try again when it is up", "nothing was sent"
        )
        user.pytest("--remex-plan").failed("submit would be refused: Slurm's controller")
    assert not user.events()
    assert not user.project.run_directories()
    assert_clean(user, before)


def test_controller_stopped(user, cluster, shims, before):
    """If the controller stops, a launch ends plainly; the same command finishes it."""
    shims.submissions(f"sleep {SLOW}")
    with cluster.changed(**QUICK):
        process = user.start("--remex-submit")
        wait_until(lambda: user.has_reached("PLACED"), "the run directories are placed")
        with cluster.controller.stopped():
            finished(process, seconds=300).failed()
            assert "UNKNOWN" in user.pytest("--remex-status", "-v").without_traceback()
        user.submit()
        with cluster.controller.stopped():
            status = user.pytest("--remex-status").reported()
            assert "next: the same command again, once the reason of each UNKNOWN" in status
        assert_once(user, cluster, 3)
    assert_clean(user, before)


def test_controller_frozen(user, cluster, before):
    """If the controller does not answer for a while, each experiment still has one job."""
    with cluster.changed(**QUICK):
        process = user.start("--remex-submit")
        wait_until(lambda: user.has_reached("PLACED"), "the run directories are placed")
        with cluster.controller.frozen():
            time.sleep(4)
        if finished(process).without_traceback().code:
            user.submit()
        assert_once(user, cluster, 3)
    assert_clean(user, before)


@SINGLE_AND_ARRAY
@pytest.mark.parametrize("state", ["HELD", "RELEASED"])
def test_acknowledged_and_lost(user, cluster, state, options, tmp_path):
    """Another's jobs with our lost jobs' ids are not released, cancelled or reported as ours."""
    with forgotten(cluster, tmp_path):
        kill_at(user, state, 1, *options)
    jobs = [event["job"] for event in user.events() if event.get("state") == "HELD"]
    foreign = occupy(cluster, jobs)
    assert foreign
    user.pytest("--remex-submit", *options).without_traceback()
    rows = user.states().values()
    lost = [row["state"] for row in rows if row["job_id"].partition("_")[0] in foreign]
    assert set(lost) == {"LOST"}
    user.pytest("--remex-cancel").without_traceback()
    listed = {job.id: job for job in cluster.jobs()}
    assert [listed[number] for number in foreign if not listed[number].held] == []
    again = user.submit("--remex-retry", *options)
    assert again.text.count("] SUBMITTED job") >= len(lost)
    cluster.run("scancel", "--name=wrap")
    cluster.up()
    cluster.wait()
    ran = [path.read_text() for path in user.project.runs.glob("*/ran")]
    assert ran == ["ran\n"] * 3


def test_forgotten_jobs(user, cluster):
    """A job that Slurm has forgotten is UNKNOWN unless it left its exit code; none goes twice."""
    user.script("[ $mass != 1.0 ] || trap 'echo $? >.remex/exit' EXIT")
    user.sweep(1.0, 2.0)
    with cluster.changed(MinJobAge="2"):
        user.submit()
        wait_until(lambda: not user_jobs(user, cluster), "the jobs are forgotten", seconds=60)
        states = [row["state"] for row in user.states().values()]
    assert sorted(states) == ["COMPLETED", "UNKNOWN"]
    assert user.submit("--remex-retry").text.count("ALREADY SUBMITTED") == 2


ENDS_EARLY = """
if [ $mass = 1.0 ]; then sleep 300; fi
[ ! -e again ] || kill -9 $$
touch again
exit 3"""


def test_the_exit_code_that_the_guide_lets_a_script_save(user, cluster):
    """It is not 0 for a cancelled job, nor that of an earlier run for one requeued and killed."""
    guide = (REPOSITORY / "docs/guarantees.md").read_text()
    (lines,) = re.findall(r"```bash\n(.*?remex/exit.*?)```", guide, re.DOTALL)
    user.script(lines + ENDS_EARLY)
    user.sweep(1.0, 2.0)
    user.submit()
    wait_until(lambda: user_jobs(user, cluster, "FAILED"), "one has failed")
    ((fails,), (sleeps,)) = (_ids(user, cluster, state) for state in ("FAILED", "RUNNING"))
    _requeue(cluster, fails)
    _start_now(cluster, fails)
    _wait_for(cluster, fails, "FAILED")
    cluster.run("scancel", sleeps)
    with cluster.changed(MinJobAge="2"):
        wait_until(lambda: not user_jobs(user, cluster), "the jobs are forgotten", seconds=60)
        states = [row["state"] for row in user.states().values()]
    assert sorted(states) == ["FAILED", "UNKNOWN"]


@WITH_ACCOUNTING
def test_without_slurmdbd(user, cluster, before):
    """With slurmdbd stopped a launch, its status and its collect work."""
    with cluster.accounting.slurmdbd.stopped():
        user.submit()
        assert_once(user, cluster, 3)
        user.collect().succeeded()
    assert_clean(user, before)


@WITH_ACCOUNTING
def test_requeued(user, cluster):
    """A requeued job is reported with the state of its last run."""
    user.script("[ -e again ] || { touch again; sleep 60; }")
    user.sweep(1.0)
    (job,) = jobs_of(_events_of_submit(user))
    wait_until(lambda: next(user.project.runs.glob("*/again"), None), "the job runs")
    _requeue(cluster, job)
    assert {row["state"] for row in user.states().values()} == {"PENDING"}
    _start_now(cluster, job)
    cluster.wait(seconds=150)
    user.collect().succeeded()


def test_requeued_and_held(user, cluster):
    """A requeued job that Slurm holds is HELD: status and collect say that it must be released."""
    user.script("[ -e again ] || { touch again; sleep 60; }")
    user.sweep(1.0)
    (job,) = jobs_of(_events_of_submit(user))
    wait_until(lambda: next(user.project.runs.glob("*/again"), None), "the job runs")
    cluster.run("scontrol", "requeuehold", job)
    wait_until(lambda: user_jobs(user, cluster)[0].state == "PENDING", "the job waits again")
    assert {row["state"] for row in user.states().values()} == {"HELD"}
    for mode in ("--remex-status", "--remex-collect"):
        assert "scontrol release" in user.pytest(mode).reported()
    cluster.run("scontrol", "release", job)
    assert {row["state"] for row in user.states().values()} == {"PENDING"}


def _events_of_submit(user):
    user.submit()
    return user.events()


def _ids(user, cluster, state):
    return [job.id for job in user_jobs(user, cluster, state)]


def _requeue(cluster, job):
    cluster.run("scontrol", "requeue", job)
    _wait_for(cluster, job, "PENDING")


def _start_now(cluster, job):
    first = f"spool/*/job{int(job):05d}"
    wait_until(lambda: not [*cluster.folder.glob(first)], "its node has tidied up")
    time.sleep(2)  # Slurm dates in seconds, and a start in that of the requeue may be refused
    cluster.run("scontrol", "update", f"jobid={job}", "starttime=now")


def _wait_for(cluster, job, state):
    wait_until(
        lambda: [each.state for each in cluster.jobs() if each.id == job] == [state],
        f"job {job} is {state}",
        seconds=60,
    )


LOSES_RELEASE = """\
case "$*" in release*|*" release "*) ;; *) exec "$REAL" "$@" ;; esac
sleep 6  # the controller saves the held jobs
cp -a {state} {state}.kept
"$REAL" "$@"; code=$?
kill -9 {controller}
rm -r {state} && mv {state}.kept {state}
exit "$code"
"""
"""A controller that dies right after it acknowledged a release."""


@pytest.mark.parametrize(
    ("command", "options"),
    [("--remex-status", ()), ("--remex-submit", ("--remex-array",)), ("--remex-collect", ())],
    ids=["status", "array-submit", "collect"],
)
def test_a_release_that_was_lost(user, cluster, shims, command, options):
    """Jobs that come back held after a crash are released by the next command, and run once."""
    cluster.down()
    controller, state = cluster.controller.process.pid, cluster.folder / "state"
    fault = LOSES_RELEASE.format(controller=controller, state=state)
    shims.put(fault, "scontrol", times=3)
    user.submit(*options)
    shims.remove()
    wait_until(lambda: not cluster.controller.running, "the controller is dead")
    cluster.start()
    cluster.down()
    assert {job.held for job in user_jobs(user, cluster)} == {True}
    done = user.pytest(command, *options, "-v").without_traceback()
    assert {job.held for job in user_jobs(user, cluster)} == {False}
    if command == "--remex-submit":
        assert "held though recorded as released" in done
    cluster.up()
    assert_once(user, cluster, 3)


def test_a_lost_release_is_not_made_again_before_a_cancel(user, cluster, shims):
    """A job that is to be cancelled does not start first."""
    cluster.down()
    user.sweep(1.0)
    user.submit()
    (job,) = user_jobs(user, cluster)
    cluster.run("scontrol", "uhold", job.id)
    shims.put(program="scontrol")
    user.pytest("--remex-cancel").without_traceback()
    assert [call for call in shims.calls("scontrol") if "release" in call.arguments] == []
    assert [job.state for job in user_jobs(user, cluster)] == ["CANCELLED"]


def test_a_script_that_asks_to_be_held_stays_held(user, cluster):
    """Its release was recorded as done, and no command takes the hold away."""
    user.script(lines="#SBATCH --hold\n")
    user.submit()
    assert {row["state"] for row in user.states().values()} == {"HELD"}
    user.submit()
    assert {job.held for job in user_jobs(user, cluster)} == {True}


def test_a_squeue_from_a_cache(user, cluster, shims, tmp_path):
    """A listing that is older than the launch leaves no job held."""
    cache = tmp_path / "cache"
    shims.put(f'[ -f {cache} ] || "$REAL" "$@" >{cache}; cat {cache}; exit 0', "squeue")
    user.sweep(1.0)
    user.submit()
    user.sweep(1.0, 2.0, 3.0)
    user.submit()
    shims.remove()
    assert_once(user, cluster, 3)


def test_forgotten_jobs_are_sent_again_on_demand(user, cluster, shims):
    """--remex-retry=forgotten sends experiments of which Slurm has no trace, and no others."""
    user.sweep(1.0, 2.0)
    with cluster.changed(MinJobAge="2"):
        user.submit()
        wait_until(lambda: not user_jobs(user, cluster), "the jobs are forgotten", seconds=60)
        for mode in ("--remex-status", "--remex-collect"):
            shown = user.pytest(mode, "-v").without_traceback()
            assert "--remex-retry=forgotten" in shown
            assert "next: the same command again, once the reason of each UNKNOWN" in shown
    cluster.down()
    again = user.submit("--remex-retry=forgotten")
    assert again.text.count("] SUBMITTED job") == 2
    shims.put("exit 0", "squeue")
    once_more = user.submit("--remex-retry=forgotten")
    assert once_more.text.count("ALREADY SUBMITTED") == 2
