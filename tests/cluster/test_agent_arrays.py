"""The agent's job arrays on a real Slurm: each task runs as its run directory's own job would."""

import pytest
from support import shims as faults
from support.agent_launch import held
from support.agents import AgentError
from support.daemons import wait_until

from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import Array, HeaderOptions, WantedSubmission
from pytest_remex.common.protocol import Cancelled, Released

SCRIPT = """\
#!/bin/bash
#SBATCH --time=1
#SBATCH --job-name=star
echo "$SLURM_ARRAY_TASK_ID $SLURM_JOB_NAME"
[ "$SLURM_SUBMIT_DIR" = "$PWD" ] && pwd
exit $((SLURM_ARRAY_TASK_ID * 2))
"""


def array(launch, *names, script=SCRIPT, throttle=None, shebang="#!/bin/bash", **header):
    """Make run directories and return the submission that makes them one array."""
    for name in names:
        launch.add(name, script)
    lines = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    return WantedSubmission(
        "a",
        list(names),
        "remex:a",
        header=HeaderOptions(**header),
        array=Array(lines, shebang, throttle),
    )


def jobs_of(events):
    """Return the tasks' ids by directory, of one held array."""
    held(events)
    return events[0].jobs


def test_each_task_runs_in_its_own_run_directory(launch):
    """Tasks have their directory, output, exit code and state; one sbatch makes them all."""
    launch.shims.put()
    events = launch.submit(array(launch, "r0", "r1", "r2", name="star"))
    jobs = jobs_of(events)
    number = events[0].job
    assert jobs == {f"r{task}": f"{number}_{task}" for task in range(3)}
    assert len(launch.shims.calls()) == 1
    assert launch.release(*jobs.values()) == [Released(list(jobs.values()))]
    launch.cluster.wait(number)
    for task in range(3):
        folder = launch.runs / f"r{task}"
        output = (folder / f"slurm-{number}_{task}.out").read_text()
        assert output.splitlines() == [f"{task} star", str(folder)]
        assert (folder / ".remex" / "exit").read_text() == f"{task * 2}\n"
        assert launch.noted(f"r{task}") == f"{number}_{task}"
    answers, _ = launch.query(*jobs.items())
    states = [(answers[name].state, answers[name].exit_code) for name in jobs]
    assert states == [("COMPLETED", 0), ("FAILED", 2), ("FAILED", 4)]


def test_outputs_follow_the_header(launch):
    """-o and -e of the header name files in each run directory; another #! is obeyed."""
    script = "#!/usr/bin/env python3\nimport sys\nprint('out')\nprint('err', file=sys.stderr)\n"
    submission = array(
        launch, "r0", "r1", script=script, shebang="#!/usr/bin/env python3",
        output="out.%a", error="err.txt",
    )  # fmt: skip
    jobs = jobs_of(launch.submit(submission))
    number = jobs["r0"].partition("_")[0]
    launch.release(jobs["r1"])
    launch.cluster.wait(number)
    for task in range(2):
        assert (launch.runs / f"r{task}" / f"out.{task}").read_text() == "out\n"
        assert (launch.runs / f"r{task}" / "err.txt").read_text() == "err\n"


def test_a_throttle_limits_what_runs(launch):
    """With throttle 1 tasks run one after the other."""
    script = "#!/bin/sh\nmkdir ../busy || exit 1\nsleep 0.3\nrmdir ../busy\n"
    jobs = jobs_of(launch.submit(array(launch, "r0", "r1", "r2", script=script, throttle=1)))
    launch.release(*jobs.values())
    launch.cluster.wait(jobs["r0"].partition("_")[0], seconds=60)
    answers, _ = launch.query(*jobs.items())
    assert [job.state for job in answers.values()] == ["COMPLETED"] * 3


def test_an_array_is_adopted_whole(launch):
    """An array that Slurm took without saying so is found, with all its tasks."""
    launch.shims.put(faults.ACCEPTS_THEN_TIMES_OUT)
    submission = array(launch, "r0", "r1")
    events = launch.submit(submission)
    number = held(events)
    assert events[0].jobs == {"r0": f"{number}_0", "r1": f"{number}_1"}
    assert len(launch.shims.calls()) == 1
    assert launch.submit(submission) == events


def test_a_warning_signal_reaches_the_users_script(launch):
    """A signal sent to the batch shell is passed on to the run's own script."""
    script = (
        "#!/bin/bash\ntrap 'echo warned > warned; exit 9' USR1\n"
        "touch ready\nwhile :; do sleep 0.1; done\n"
    )
    jobs = jobs_of(launch.submit(array(launch, "r0", script=script)))
    launch.release(jobs["r0"])
    wait_until((launch.runs / "r0" / "ready").exists)
    launch.cluster.run("scancel", "--batch", "--signal=USR1", jobs["r0"])
    wait_until((launch.runs / "r0" / "warned").exists)
    launch.cluster.wait(jobs["r0"].partition("_")[0])
    answers, _ = launch.query(*jobs.items())
    assert answers["r0"].exit_code == 9


def test_tasks_are_cancelled_by_one_request(launch):
    """Some tasks of an array are cancelled by one word for scancel, and the others are left."""
    names = [f"r{task}" for task in range(12)]
    jobs = jobs_of(launch.submit(array(launch, *names)))
    some = [jobs[name] for name in names if name not in {"r3", "r7"}]
    launch.shims.put(program="scancel")
    assert launch.cancel(*some) == [Cancelled(job) for job in some]
    (call,) = launch.shims.calls("scancel")
    launch.shims.remove()
    assert call.arguments.split()[-1] == f"{jobs['r0'].partition('_')[0]}_[0-2,4-6,8-11]"
    states = launch.query(*((name, jobs[name]) for name in names))[0]
    left = {name for name in names if states[name].state is JobState.HELD}
    assert left == {"r3", "r7"}
    assert {states[name].state for name in names if name not in left} == {JobState.CANCELLED}


def test_cancelling_one_task_leaves_the_others(launch):
    """A single task can be cancelled before the array was released."""
    jobs = jobs_of(launch.submit(array(launch, "r0", "r1", "r2")))
    assert launch.cancel(jobs["r1"]) == [Cancelled(jobs["r1"])]
    answers, _ = launch.query(*jobs.items())
    assert [answers[name].state for name in jobs] == ["HELD", "CANCELLED", "HELD"]


def test_a_number_that_came_twice_is_not_taken_for_ours(launch):
    """Tasks of another array of ours, and jobs with an array's number, do not count for a run."""
    number = held(launch.submit(array(launch, "r0", "r1")))
    launch.add("lost")
    single = held(launch.submit(launch.add("single")))
    answers, _ = launch.query(("lost", f"{number}_0"))
    assert answers["lost"].state is JobState.LOST
    answers, _ = launch.query(("lost", f"{single}_0"))
    assert answers["lost"].state is JobState.LOST
    answers, _ = launch.query(("r0", f"{number}_0"), ("single", single))
    assert [answers[name].state for name in ("r0", "single")] == ["HELD", "HELD"]


def test_other_runs_under_the_same_key_are_refused(launch):
    """An array's folder is only for its runs."""
    submission = array(launch, "r0", "r1")
    held(launch.submit(submission))
    with pytest.raises(AgentError, match="for other runs"):
        launch.submit(submission._replace(directories=["r1", "r0"]))
