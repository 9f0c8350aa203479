"""The script of an array's task: it runs the script of the task's run, and has its exit code."""

import os
import shutil
import signal
import subprocess

import pytest

from pytest_remex.agent.slurm.groups import scripts_of
from pytest_remex.agent.submissions import LocatedSubmission
from pytest_remex.common.parts import Array, HeaderOptions


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a task whose run has this script, and waits until it is on."""
    folder, run = tmp_path / "array", tmp_path / "runs" / "r0"
    folder.mkdir()
    (run / ".remex").mkdir(parents=True)
    (folder / "0").symlink_to(run)

    def start(script, shell):
        (run / "run.sbatch").write_text(f"#!/bin/sh\n{script}\n")
        array = LocatedSubmission(
            key="k", runs=str(run.parent), notes="", folder=str(folder), directories=["r0"],
            array=Array([], "#!/bin/sh"), pack=None, comment="", job_number=1, environment={},
            header=HeaderOptions(), in_doubt=False, options=[], scripts={}, dependency="",
            upstreams={}, tasks=[0], asked={},
        )  # fmt: skip
        (text,) = scripts_of(array).values()
        task = subprocess.Popen(
            [shell, "-c", text],
            cwd=folder,
            env={**os.environ, "SLURM_ARRAY_TASK_ID": "0"},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert task.stdout.readline() == b"on\n"
        return task, run / ".remex" / "exit"

    return start


@pytest.mark.parametrize("shell", [each for each in ("bash", "dash") if shutil.which(each)])
def test_a_script_that_ends_at_a_signal(start, shell):
    """A script that saves its state at a warning and ends at once has the exit code it chose."""
    script = "trap 'kill $!; exit 3' USR1; sleep 0.1; echo on; sleep 60 & wait"
    for _ in range(20):
        task, code = start(script, shell)
        task.send_signal(signal.SIGUSR1)
        with task.stdout:
            assert (task.wait(30), code.read_text()) == (3, "3\n")


@pytest.mark.parametrize(("ends", "code"), [("kill -9 $$", 137), ("exit 200", 200), ("exit 0", 0)])
def test_a_script_that_ends_without_a_signal(start, ends, code):
    """A script that another ends, or that has a high exit code, has that of its end."""
    task, noted = start(f"echo on; {ends}", "sh")
    with task.stdout:
        assert (task.wait(30), noted.read_text()) == (code, f"{code}\n")


def test_a_script_that_the_end_of_its_job_ends(start):
    """A script that saves its state at SIGTERM and ends with 0 leaves no code: it is not done."""
    for _ in range(5):
        task, code = start("trap 'exit 0' TERM; echo on; while :; do sleep 0.05; done", "sh")
        os.killpg(task.pid, signal.SIGTERM)
        with task.stdout:
            task.wait(30)
        assert not code.exists()


@pytest.mark.parametrize(("at_end", "code"), [("exit 4", 4), ("exec sh -c 'kill $$'", 143)])
def test_a_script_that_fails_at_the_end_of_its_job(start, at_end, code):
    """A code other than 0 says that a task failed, also if Slurm has forgotten its time limit."""
    script = f'trap "{at_end}" TERM; echo on; while :; do sleep 0.05; done'
    task, noted = start(script, "sh")
    os.killpg(task.pid, signal.SIGTERM)
    with task.stdout:
        assert (task.wait(30), noted.read_text()) == (code, f"{code}\n")


def test_a_task_that_slurm_starts_again(start):
    """A task that is started again, and killed, does not keep the exit code of its first start."""
    task, code = start("echo on", "sh")
    with task.stdout:
        assert (task.wait(30), code.read_text()) == (0, "0\n")
    task, code = start("echo on; exec sleep 60", "sh")
    os.killpg(task.pid, signal.SIGKILL)
    with task.stdout:
        task.wait(30)
    assert not code.exists()
