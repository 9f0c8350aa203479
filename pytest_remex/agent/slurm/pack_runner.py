"""Run a pack inside its job: as many runs at a time as the job has tasks.

The job starts a copy of this file that lies in the pack's folder: it needs Python 3.6 and nothing
else. The first process hands out the runs, by their index, to one worker on each node, which starts
them with the pack's `task` script; a worker gets the next run as soon as one of its runs has ended.
On nodes other than the job's first, srun starts the worker. A job that is told to end (SIGTERM)
starts no more runs; other signals are only for the runs.

    first process                   worker, one on each node
    INDEX ->                    <-  NODE INDEX EXIT_CODE        a line each, any number of them
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType
from typing import Callable, Dict, List, Optional

COPY = "pack_runner.py"
"""The name of the copy in the pack's folder."""
TASK = "task"
"""The script in the pack's folder that runs the run with a given index."""
RUNS = "runs"
"""The file in the pack's folder with a line for each run."""
_FOR_RUNS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
_EXIT = os.path.join(".remex", "exit")
_AT_ONCE = 0.02
"""Seconds within which Slurm signals all processes of a job that is to end, in any order."""
_ONE_TASK = ("SLURM_NTASKS", "SLURM_NPROCS", "SLURM_TASKS_PER_NODE")
"""The variables that tell a run how many tasks it has, which is one."""


def tasks_of_nodes(text: str) -> List[int]:
    """Return how many tasks each node has, from the value of SLURM_TASKS_PER_NODE.

    Example:
        >>> tasks_of_nodes("4(x2),1")
        [4, 4, 1]

    """
    counts: List[int] = []
    for part in text.split(","):
        count, _, times = part.partition("(x")
        counts += [int(count)] * int(times.rstrip(")") or 1)
    return counts


class Worker:
    """A worker as the first process sees it; it answers into the pipe `answers`."""

    def __init__(self, node: str, tasks: int, answers: int) -> None:
        self.tasks = tasks
        cores = os.environ.get("SLURM_CPUS_PER_TASK", "")
        words = [sys.executable, "-I", os.path.abspath(__file__), node, cores]
        if node != _own_node():
            words = [*_srun(node, tasks * int(cores or 1)), *words]
        read, self._indices = os.pipe()
        self._process = subprocess.Popen(words, stdin=read, stdout=answers)
        os.close(read)

    def start(self, index: int) -> None:
        """Have a run started; a worker that has ended starts none."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._indices, f"{index}\n".encode("ascii"))

    def finish(self) -> None:
        """Tell the worker that no more runs come; it ends with its last run."""
        if self._indices >= 0:
            os.close(self._indices)
            self._indices = -1

    def pass_on(self, number: int) -> None:
        """Send the worker a signal, which is for its runs."""
        self._process.send_signal(number)


class RunningPack:
    """The runs of a pack that are left to start, and the exit codes of those that ended."""

    def __init__(self, count: int) -> None:
        self._waiting = iter(range(count))
        self._workers: Dict[str, Worker] = {}
        self._stopping = False
        self.ended: Dict[int, int] = {}

    def run(self) -> None:
        """Run all runs; return when they have ended, or their workers have."""
        _pass_signals_on(self._pass_on)
        read, write = os.pipe()
        for node, tasks in _nodes().items():
            self._workers[node] = Worker(node, tasks, write)
        os.close(write)
        for worker in self._workers.values():
            for _ in range(worker.tasks):
                self._start_next(worker)
        with open(read) as answers:
            for line in answers:
                node, index, code = line.split()
                self.ended[int(index)] = int(code)
                _say(f"run {index} ended with exit code {code}")
                self._start_next(self._workers[node])

    def _start_next(self, worker: Worker) -> None:
        index = None if self._stopping else next(self._waiting, None)
        if index is not None:
            worker.start(index)
            return
        for each in self._workers.values():
            each.finish()

    def _pass_on(self, number: int) -> None:
        self._stopping = self._stopping or number == signal.SIGTERM
        for worker in self._workers.values():
            worker.pass_on(number)


class Runs:
    """The runs of one worker; each end is reported on stdout."""

    def __init__(self, node: str, cores: str) -> None:
        self._node = node
        self._variables = {**os.environ, **dict.fromkeys(_ONE_TASK, "1")}
        # srun sets it to all that the worker has
        self._variables.pop("SLURM_CPUS_PER_TASK", None)
        if cores:
            self._variables["SLURM_CPUS_PER_TASK"] = cores
        self._running: Dict[str, "subprocess.Popen[bytes]"] = {}
        self._ended: Dict[str, float] = {}
        self._starting = threading.RLock()
        self._stopping = False

    def run(self) -> None:
        """Start the runs whose indices come on stdin; return when all have ended."""
        _pass_signals_on(self._pass_on)
        threads = []
        for line in sys.stdin:
            threads.append(threading.Thread(target=self._run, args=[line.strip()]))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _run(self, index: str) -> None:
        # stdout is for answers; what the task itself prints goes to the log of the pack
        words = ["sh", f"./{TASK}", index]
        with self._starting:  # a signal comes before a run is started, or reaches it
            if self._stopping:
                return
            started = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=2, env=self._variables
            )
            self._running[index] = started
        code = started.wait()
        self._ended[index] = time.monotonic()
        del self._running[index]
        self._forget_interrupted()
        _say(f"{self._node} {index} {code}")

    def _pass_on(self, number: int) -> None:
        self._stopping = self._stopping or number == signal.SIGTERM
        with self._starting:
            for process in list(self._running.values()):
                process.send_signal(number)
        self._forget_interrupted()

    def _forget_interrupted(self) -> None:
        """Remove the exit codes of runs that the end of the job ended, maybe before we were told.

        A run that saves its state at that signal often ends with 0.
        """
        since = time.monotonic() - _AT_ONCE
        for index, ended in list(self._ended.items()) if self._stopping else ():
            if ended > since:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(os.path.join(index, _EXIT))


def _pass_signals_on(pass_on: Callable[[int], None]) -> None:
    def handle(number: int, _: Optional[FrameType]) -> None:
        with contextlib.suppress(ProcessLookupError):
            pass_on(number)

    for number in _FOR_RUNS:
        signal.signal(number, handle)


def _nodes() -> Dict[str, int]:
    """Return how many tasks the job has on each of its nodes."""
    counts = tasks_of_nodes(os.environ.get("SLURM_TASKS_PER_NODE", "1"))
    if len(counts) == 1:
        return {_own_node(): counts[0]}
    words = ["scontrol", "show", "hostnames", os.environ["SLURM_JOB_NODELIST"]]
    names = subprocess.check_output(words).decode("ascii").split()
    return {name: counts[position] for position, name in enumerate(names)}


def _own_node() -> str:
    return os.environ.get("SLURMD_NODENAME", "localhost")


def _srun(node: str, cores: int) -> List[str]:
    """Return the command that starts a worker on another node, with all cores of the job there."""
    counts = ["--nodes=1", "--ntasks=1", f"--cpus-per-task={cores}"]
    return ["srun", f"--nodelist={node}", *counts, "--cpu-bind=none"]


def _say(line: str) -> None:
    # one write, as several workers have one pipe
    os.write(1, f"{line}\n".encode("ascii"))


def main(words: List[str]) -> int:
    """Run a pack in the current folder, or be the worker of a node: `words` are its arguments."""
    if words:
        Runs(*words).run()
        return 0
    with open(RUNS, errors="surrogateescape") as file:
        count = sum(1 for _ in file)
    pack = RunningPack(count)
    pack.run()
    failed = sum(code != 0 for code in pack.ended.values())
    _say(f"{count} runs: {failed} failed, {count - len(pack.ended)} did not end")
    return 1 if failed or len(pack.ended) < count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
