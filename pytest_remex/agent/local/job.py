"""One job of the local scheduler: a process group of its own, from start to end."""

import getpass
import os
import signal
import socket
import subprocess
import time
from typing import Any, BinaryIO, Dict, Optional, Tuple

from pytest_remex.agent import fs, processes, shebang
from pytest_remex.agent.local.store import Store, Task
from pytest_remex.common import filenames, paths

GRACE = 5.0
"""Seconds between the polite and the hard end of a job."""
_UNITS = 1 if os.uname().sysname == "Darwin" else 1024


class StartError(Exception):
    """A job could not start; the words are its reason."""


class RunningJob:
    """A started task; `poll` until it gives the final state."""

    def __init__(self, store: Store, task: Task) -> None:
        self.task = task
        self._limit = task.spec.time_limit
        self._ending: Optional[str] = None
        self._kill_at = 0.0
        self._process = _start(store, task)
        self.started = time.time()
        self._clock = time.monotonic()

    def state(self) -> Dict[str, Any]:
        """Give what to keep about the running job."""
        pid = self._process.pid
        born = processes.birth(pid)
        return {"state": "RUNNING", "started": self.started, "pid": pid, "birth": born}

    def end(self, state: str) -> None:
        """Ask the job to end, by SIGTERM now and SIGKILL later; `state` is what it ends in."""
        if self._ending is None:
            self._ending = state
            self._kill_at = time.monotonic() + GRACE
            processes.signal_group(self._process.pid, signal.SIGTERM)

    def poll(self) -> Optional[Dict[str, Any]]:
        """Give the final state once the job has ended."""
        pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        now = time.monotonic()
        if pid:
            processes.signal_group(pid, signal.SIGKILL)
            return self._final(status, usage.ru_maxrss * _UNITS)
        if self._ending is not None and now >= self._kill_at:
            processes.signal_group(self._process.pid, signal.SIGKILL)
        elif self._limit is not None and now - self._clock >= self._limit:
            self.end("TIMEOUT")
        return None

    def _final(self, status: int, memory: int) -> Dict[str, Any]:
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        # Popen must know that its process was waited for
        self._process.returncode = code if number is None else -number
        fs.replace(paths.exit_code(self.task.directory), f"{128 + number if number else code}\n")
        return {
            "state": self._ending or ("COMPLETED" if code == 0 else "FAILED"),
            "started": self.started,
            "elapsed": round(time.monotonic() - self._clock, 3),
            "exit_code": 0 if number else code,
            "signal": number,
            "memory": memory,
        }


def _start(store: Store, task: Task) -> "subprocess.Popen[bytes]":
    script = os.path.join(task.directory, "run.sbatch")
    try:
        words = [*shebang.words_of_script(script), script]
        environment = _environment(store, task)
        out, err = _open_outputs(task)
    except shebang.ShebangError as error:
        raise StartError(f"{script} cannot run: {error}") from error
    except OSError as error:
        raise StartError(str(error)) from error
    with out, err:
        try:
            return subprocess.Popen(
                words,
                cwd=task.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            raise StartError(f"cannot run {' '.join(words)}: {error.strerror}") from error


def _open_outputs(task: Task) -> Tuple[BinaryIO, BinaryIO]:
    spec = task.spec
    number = None if task.number is None else str(task.number)
    fields = filenames.Fields(spec.id, spec.id, number, spec.name, _user(), socket.gethostname())
    default = filenames.SINGLE if number is None else filenames.ARRAY

    def opened(pattern: str) -> BinaryIO:
        return open(os.path.join(task.directory, filenames.expand(pattern, fields)), "wb", 0)

    out = opened(spec.output or default)
    try:
        return out, opened(spec.error) if spec.error else os.fdopen(os.dup(out.fileno()), "wb", 0)
    except OSError:
        out.close()
        raise


def _environment(store: Store, task: Task) -> Dict[str, str]:
    spec = task.spec
    host = socket.gethostname()
    words = {
        "SLURM_CLUSTER_NAME": "local",
        "SLURM_CPUS_ON_NODE": "1",
        "SLURM_JOB_CPUS_PER_NODE": "1",
        "SLURM_JOBID": spec.id,
        "SLURM_JOB_ID": spec.id,
        "SLURM_JOB_NAME": spec.name,
        "SLURM_JOB_NODELIST": host,
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_JOB_PARTITION": "local",
        "SLURM_JOB_USER": _user(),
        "SLURM_NNODES": "1",
        "SLURM_NODELIST": host,
        "SLURM_NPROCS": "1",
        "SLURM_NTASKS": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_SUBMIT_DIR": task.directory,
        "SLURM_SUBMIT_HOST": host,
        "ENVIRONMENT": "BATCH",
    }
    if task.number is not None:
        words.update(
            SLURM_ARRAY_JOB_ID=spec.id,
            SLURM_ARRAY_TASK_ID=str(task.number),
            SLURM_ARRAY_TASK_COUNT=str(len(spec.directories)),
            SLURM_ARRAY_TASK_MIN="0",
            SLURM_ARRAY_TASK_MAX=str(len(spec.directories) - 1),
            SLURM_ARRAY_TASK_STEP="1",
        )
    return {**store.environment(spec.environment), **words, **spec.extra}


def _user() -> str:
    return getpass.getuser()
