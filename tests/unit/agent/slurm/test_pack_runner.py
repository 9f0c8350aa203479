"""The runner of packs, as a job starts it: a process in a folder with runs and a task script."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from support.daemons import wait_until

from pytest_remex.agent.slurm import pack_runner


class Job:
    """A pack's folder, in which `start` starts the runner as the job's script does."""

    def __init__(self, folder, task, runs):
        self.folder = folder
        shutil.copy(pack_runner.__file__, folder / pack_runner.COPY)
        (folder / pack_runner.TASK).write_text(task)
        (folder / pack_runner.RUNS).write_text("".join(f"run {index}\n" for index in range(runs)))

    def start(self, **variables):
        """Start it with variables of the job."""
        return subprocess.Popen(
            [sys.executable, "-I", f"./{pack_runner.COPY}"],
            cwd=self.folder,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def names(self, pattern):
        """Return the sorted names of files in the folder."""
        return sorted(path.name for path in self.folder.glob(pattern))


@pytest.fixture
def job(tmp_path):
    """Return a function that makes a pack's folder."""
    return lambda task, runs: Job(tmp_path, task, runs)


@pytest.mark.parametrize(
    ("text", "counts"), [("1", [1]), ("4(x2),1", [4, 4, 1]), ("16,2(x1)", [16, 2])]
)
def test_tasks_of_nodes(text, counts):
    """Slurm's short form of the tasks on each node is read."""
    assert pack_runner.tasks_of_nodes(text) == counts


def test_all_run(job):
    """A run that fails stops no other; the exit code says that one did, the log which."""
    started = job('touch ran-$1; [ "$1" != 1 ] || exit 3', 5)
    ran = started.start(SLURM_TASKS_PER_NODE="2")
    said, _ = ran.communicate(timeout=30)
    assert ran.returncode == 1
    assert started.names("ran-*") == [f"ran-{index}" for index in range(5)]
    assert "run 1 ended with exit code 3" in said
    assert "5 runs: 1 failed, 0 did not end" in said


def test_as_many_as_tasks(job):
    """As many run at a time as the job has tasks, and none waits while a task is idle."""
    task = "touch now-$1; ls now-* | wc -l >seen-$1; sleep 0.3; rm now-$1"
    pack = job(task, 6)
    ran = pack.start(SLURM_TASKS_PER_NODE="3")
    wait_until(lambda: len(pack.names("now-*")) == 3)
    ran.communicate(timeout=30)
    assert ran.returncode == 0
    assert max(int((pack.folder / name).read_text()) for name in pack.names("seen-*")) == 3


def test_variables_of_a_run(job):
    """A run gets variables for one task and its cores, as in a separate job."""
    pack = job("env >env-$1", 1)
    pack.start(
        SLURM_TASKS_PER_NODE="2", SLURM_NTASKS="2", SLURM_NPROCS="2", SLURM_CPUS_PER_TASK="4"
    ).communicate(timeout=30)
    lines = (pack.folder / "env-0").read_text().splitlines()
    assert {"SLURM_NTASKS=1", "SLURM_TASKS_PER_NODE=1", "SLURM_CPUS_PER_TASK=4"} <= set(lines)


@pytest.mark.parametrize(
    ("number", "all_started"), [(signal.SIGTERM, False), (signal.SIGUSR1, True)]
)
def test_signals(job, number, all_started):
    """Signals reach the runs; after SIGTERM, by which a job is ended, no more of them start."""
    task = "trap 'touch told-$1; exit 0' TERM USR1; touch ran-$1; while :; do sleep 0.1; done"
    pack = job(task, 3)
    ran = pack.start(SLURM_TASKS_PER_NODE="1")
    for index in range(3 if all_started else 1):
        wait_until((pack.folder / f"ran-{index}").exists)
        ran.send_signal(number)
        wait_until((pack.folder / f"told-{index}").exists)
    said, _ = ran.communicate(timeout=30)
    assert len(pack.names("ran-*")) == (3 if all_started else 1)
    assert ("2 did not end" in said) is not all_started
    assert ran.returncode == (0 if all_started else 1)


def test_runs_that_end_with_the_job(job):
    """A run that ends as its job is told to end has no exit code: a requeued job runs it again."""
    task = """
mkdir -p $1/.remex
trap 'echo 0 >$1/.remex/exit; exit 0' TERM
[ "$1" = 0 ] || until [ -e end-$1 ]; do sleep 0.02; done
echo 0 >$1/.remex/exit
"""
    pack = job(task, 3)
    ran = pack.start(SLURM_TASKS_PER_NODE="3")
    ended = [pack.folder / str(index) / ".remex" / "exit" for index in range(3)]
    wait_until(ended[0].exists)
    wait_until((pack.folder / "2").exists)
    time.sleep(0.2)
    (pack.folder / "end-1").touch()
    ran.send_signal(signal.SIGTERM)
    ran.communicate(timeout=30)
    assert [each.exists() for each in ended] == [True, False, False]


def test_a_worker_that_ended(job):
    """If a node's worker cannot be started, its runs have no end."""
    pack = job("touch ran-$1", 3)
    (pack.folder / "scontrol").write_text("#!/bin/sh\necho n1; echo n2\n")
    (pack.folder / "srun").write_text("#!/bin/sh\nexit 1\n")
    for name in ("scontrol", "srun"):
        (pack.folder / name).chmod(0o755)
    ran = pack.start(
        SLURM_TASKS_PER_NODE="1(x2)",
        SLURM_JOB_NODELIST="n[1-2]",
        SLURMD_NODENAME="n1",
        PATH=f"{pack.folder}:{os.environ['PATH']}",
    )
    said, _ = ran.communicate(timeout=30)
    assert ran.returncode == 1
    assert pack.names("ran-*") == ["ran-0", "ran-2"]
    assert "3 runs: 0 failed, 1 did not end" in said
