"""Packs on a real Slurm: many runs share one job, and each has its own end."""

import pytest
from support.agent_launch import held
from support.daemons import wait_until

from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import Pack, WantedSubmission

SCRIPT = "#!/bin/bash\n#SBATCH --time=1\npwd\nexit $(cat code)\n"
WAITS = '#!/bin/bash\n#SBATCH --time=1\n[ "$(cat code)" = wait ] || exit "$(cat code)"\nsleep 60\n'
"""A run that ends at once with its code, or that waits for its job's end."""


def pack(launch, codes, script=SCRIPT, lines=("#SBATCH --time=1",), **options):
    """Make run directories that end with these codes and return the submission that packs them."""
    for name, code in codes.items():
        launch.add(name, script)
        (launch.runs / name / "code").write_text(f"{code}\n")
    packed = Pack(list(lines), "#!/bin/bash", **options)
    return WantedSubmission("p", list(codes), "remex:p", pack=packed)


def states(launch, names, job):
    """Return the states of runs, by name."""
    answers, _ = launch.query(*[(name, job) for name in names])
    return {name: str(one.state) for name, one in answers.items()}


def log(launch, job):
    """Return what the runner printed."""
    return (launch.runs / ".remex/arrays/L-p/log" / f"slurm-{job}.out").read_text()


def test_a_pack_runs_all_in_one_job(launch):
    """One sbatch, one job; each run has its own output, exit code, state and time."""
    launch.shims.put()
    events = launch.submit(pack(launch, {"a": 0, "b": 3, "c": 0}, slots=2, time_limit=150))
    job = held(events)
    assert events[0].jobs == dict.fromkeys("abc", job)
    assert len(launch.shims.calls()) == 1
    assert launch.query(*[(name, job) for name in "abc"])[0]["a"].state is JobState.HELD
    launch.release(job)
    ended = launch.cluster.wait(job)[job]
    assert ended.state == "FAILED", "the job's exit code says that a run failed"
    answers, _ = launch.query(*[(name, job) for name in "abc"])
    assert [(str(answers[name].state), answers[name].exit_code) for name in "abc"] == [
        ("COMPLETED", 0),
        ("FAILED", 3),
        ("COMPLETED", 0),
    ]
    assert all(one.elapsed is not None for one in answers.values())
    assert (launch.runs / "b" / f"slurm-{job}.out").read_text() == f"{launch.runs / 'b'}\n"
    assert "3 runs: 1 failed, 0 did not end" in log(launch, job)


def test_over_several_nodes(launch):
    """A job of several nodes has runs on all of them, each with the cores of one task."""
    script = (
        "#!/bin/bash\necho $SLURMD_NODENAME $SLURM_CPUS_PER_TASK $SLURM_NTASKS\n"
        "until [ $(ls ../*/slurm-*.out | wc -l) -ge 4 ]; do sleep 0.1; done\n"
    )
    lines = ["#SBATCH --nodes=2", "#SBATCH --ntasks-per-node=2", "#SBATCH --cpus-per-task=2"]
    submission = pack(launch, dict.fromkeys("abcdef", 0), script, lines, slots=4, time_limit=60)
    job = held(launch.submit(submission))
    launch.release(job)
    assert launch.cluster.wait(job)[job].state == "COMPLETED", log(launch, job)
    said = [(launch.runs / name / f"slurm-{job}.out").read_text().split() for name in "abcdef"]
    assert {node for node, *_ in said} == {"n1", "n2"}
    assert {tuple(rest) for _, *rest in said} == {("2", "1")}
    assert set(states(launch, "abcdef", job).values()) == {"COMPLETED"}


def test_a_cancelled_pack_cancels_what_did_not_run(launch):
    """Runs of a pack that is cancelled before it ran are CANCELLED with it."""
    job = held(launch.submit(pack(launch, {"a": 0, "b": 0})))
    launch.cancel(job)
    assert states(launch, "ab", job) == dict.fromkeys("ab", "CANCELLED")


@pytest.mark.parametrize("lines", [(), ("#SBATCH --nodes=2", "#SBATCH --ntasks=2")])
def test_cancelled_while_it_runs(launch, lines):
    """Runs that a cancel interrupts or prevents are CANCELLED; ended runs keep their states."""
    codes = {"a": 0, "b": 3, "c": "wait", "d": "wait", "e": 0}
    submission = pack(launch, codes, WAITS, lines, slots=2 if lines else 1)
    job = held(launch.submit(submission))
    launch.release(job)
    waiting = "cd" if lines else "c"
    wait_until(
        lambda: all((launch.runs / name / ".remex/started").exists() for name in waiting),
        seconds=30,
    )
    running = states(launch, codes, job)
    assert [running[name] for name in "abc"] == ["COMPLETED", "FAILED", "RUNNING"]
    assert running["e"] == "PENDING"
    launch.cancel(job)
    launch.cluster.wait(job)
    ended = states(launch, codes, job)
    assert ended == {
        "a": "COMPLETED", "b": "FAILED", "c": "CANCELLED", "d": "CANCELLED", "e": "CANCELLED"
    }  # fmt: skip


def test_requeued(launch):
    """A job that Slurm requeues runs what had not ended, and nothing again."""
    wait = "[ $(cat code) = 0 ] || [ -e waits ] || { touch waits; sleep 60; }"
    script = f"#!/bin/bash\necho ran >> ran\n{wait}\n"
    submission = pack(launch, {"a": 0, "b": "wait", "c": 0}, script, ["#SBATCH --requeue"], slots=1)
    job = held(launch.submit(submission))
    launch.release(job)
    wait_until((launch.runs / "b/waits").exists, seconds=30)
    launch.cluster.run("scontrol", "requeue", job)
    wait_until(
        lambda: [one.state for one in launch.cluster.jobs() if one.id == job] == ["PENDING"],
        seconds=30,
    )
    launch.cluster.run("scontrol", "update", f"jobid={job}", "starttime=now")
    assert launch.cluster.wait(job, seconds=60)[job].state == "COMPLETED"
    ran = {name: (launch.runs / name / "ran").read_text() for name in "abc"}
    assert ran == {"a": "ran\n", "b": "ran\nran\n", "c": "ran\n"}
    assert set(states(launch, "abc", job).values()) == {"COMPLETED"}


def test_the_release_of_a_pack_is_made_again(launch):
    """Where Slurm has lost it, a query for its runs releases their one job, by one command."""
    launch.cluster.down()
    job = held(launch.submit(pack(launch, {"a": 0, "b": 0})))
    launch.shims.put(program="scontrol")
    answers, _ = launch.query(("a", job), ("b", job), released={"a", "b"})
    assert {one.state for one in answers.values()} == {JobState.PENDING}
    assert [each.held for each in launch.cluster.jobs() if each.id == job] == [False]
    commands = [call.arguments.split()[0] for call in launch.shims.calls("scontrol")]
    assert commands == ["-o", "release"]


def test_a_pack_that_is_submitted_again(launch):
    """A run that waits for its turn in the second job does not count as running since the first."""
    first = pack(launch, {"a": 3, "b": 3}, WAITS, slots=1)
    job = held(launch.submit(first))
    launch.release(job)
    launch.cluster.wait(job)
    for name in "ab":
        (launch.runs / name / "code").write_text("wait\n")
    job = held(launch.submit(first._replace(job_number=2)))
    launch.release(job)
    wait_until(lambda: states(launch, "ab", job) == {"a": "RUNNING", "b": "PENDING"})
