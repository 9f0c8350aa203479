"""One job of the local scheduler: its process group, and the slot that it occupies."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from typing import IO, BinaryIO, Dict, Optional, Tuple

from pytest_remex.agent import process, upstream
from pytest_remex.agent.errors import AgentError, UnreadableError
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.local.store import Store, Task, lock
from pytest_remex.agent.submissions import ShebangError, interpreter_of
from pytest_remex.common import filenames, paths
from pytest_remex.common.jobs import JobState
from pytest_remex.common.paths import LocalState

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_MEMORY_UNIT = 1 if os.uname().sysname == "Darwin" else 1024
"""Bytes in the unit of ru_maxrss."""
_SHELL = f'read -r go || exit\n{upstream.CHECK}exec "$@" < /dev/null'
"""Waits for `begin`, then runs the words after it; nothing runs if the queue is killed before."""


class Slots:
    """The user's slots on this machine, one per core, shared by the queues of all runs folders.

    A slot is a lock file; at most as many local jobs as there are slots run at a time.
    """

    def __init__(self) -> None:
        self._folder = os.path.join(tempfile.gettempdir(), f"remex-{os.getuid()}")
        _make_private(self._folder)

    def take(self) -> Optional[IO[str]]:
        """Take a free slot; closing it frees it again. None if all are taken."""
        for number in range(process.cores()):
            taken = lock(os.path.join(self._folder, f"slot-{number}"))
            if taken is not None:
                return taken
        return None


def _make_private(folder: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    about = os.lstat(folder)
    private = stat.S_ISDIR(about.st_mode) and not stat.S_IMODE(about.st_mode) & 0o077
    if not private or about.st_uid != os.getuid():
        message = f"{folder} must be a folder that only you can access; remove it or set TMPDIR"
        raise AgentError("runs", message)


class StartError(Exception):
    """A job could not be started; the message says why."""


class RunningJob:
    """The process of a task: `begin` it, then `poll` it until it returns the final state.

    It waits for `begin`, so that it can be recorded first: whoever finds the record can end it.
    """

    def __init__(self, store: Store, task: Task) -> None:
        self.task = task
        self._limit = task.spec.time_limit
        self._ending: Optional[JobState] = None
        self._kill_at = 0.0
        self._process = _start(store, task)
        self.started = time.time()
        self._clock = time.monotonic()

    def state(self) -> LocalState:
        """Return the state to store while the job is running."""
        pid = self._process.pid
        return LocalState(JobState.RUNNING, started=self.started, pid=pid, birth=process.birth(pid))

    def begin(self) -> None:
        """Let the job run."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe, as asked for
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:  # if it was killed
            stdin.write(b"\n")

    def end(self, state: JobState) -> None:
        """Stop the job: SIGTERM now, SIGKILL later; `state` becomes its final state."""
        if self._ending is None:
            self._ending = state
            self._kill_at = time.monotonic() + GRACE
            process.signal_group(self._process.pid, signal.SIGTERM)

    def poll(self) -> Optional[LocalState]:
        """Return the final state if the job has ended."""
        pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        now = time.monotonic()
        if pid:
            process.signal_group(pid, signal.SIGKILL)
            return self._final(status, usage.ru_maxrss * _MEMORY_UNIT)
        if self._ending is not None and now >= self._kill_at:
            process.signal_group(self._process.pid, signal.SIGKILL)
        elif self._limit is not None and now - self._clock >= self._limit:
            self.end(JobState.TIMEOUT)
        return None

    def _final(self, status: int, memory: int) -> LocalState:
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        # tell Popen that its process has been waited for
        self._process.returncode = code if number is None else -number
        # the job itself may have put something in the way of its exit code
        with contextlib.suppress(UnreadableError, OSError):
            left = f"{128 + number if number else code}\n"
            RunFiles(self.task.directory).write(paths.EXIT, left)
        ended = JobState.COMPLETED if code == 0 else JobState.FAILED
        return LocalState(
            state=self._ending or ended,
            started=self.started,
            elapsed=round(time.monotonic() - self._clock, 3),
            exit_code=0 if number else code,
            signal=number,
            memory=memory,
        )


def _start(store: Store, task: Task) -> "subprocess.Popen[bytes]":
    script = os.path.join(task.directory, task.spec.script)
    try:
        words = [*interpreter_of(script), script]
        environment = _environment(store, task)
        _check_interpreter(words[0], task.directory, environment)
        out, err = _open_outputs(task)
    except ShebangError as error:
        raise StartError(f"{script} cannot run: {error}") from error
    except (OSError, UnreadableError) as error:
        raise StartError(str(error)) from error
    with out, err:
        try:
            return subprocess.Popen(
                ["/bin/sh", "-c", _SHELL, "sh", *words],
                cwd=task.directory,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            raise StartError(f"cannot run {' '.join(words)}: {error.strerror}") from error


def _check_interpreter(name: str, directory: str, environment: Dict[str, str]) -> None:
    path = os.path.join(directory, name) if os.sep in name else name
    if shutil.which(path, path=environment.get("PATH", os.defpath)) is None:
        raise StartError(f"cannot run {name}: it does not exist here, or is not executable")


def _open_outputs(task: Task) -> Tuple[BinaryIO, BinaryIO]:
    spec = task.spec
    index = None if task.array_index is None else str(task.array_index)
    fields = filenames.Fields(
        spec.id, spec.id, index, spec.name, getpass.getuser(), socket.gethostname()
    )
    default = filenames.SINGLE if index is None else filenames.ARRAY

    def opened(pattern: str) -> BinaryIO:
        path = os.path.join(task.directory, filenames.expand(pattern, fields))
        return open(path, "ab", 0) if spec.append else open(path, "wb", 0)

    out = opened(spec.output or default)
    try:
        return out, opened(spec.error) if spec.error else os.fdopen(os.dup(out.fileno()), "wb", 0)
    except OSError:
        out.close()
        raise


def _environment(store: Store, task: Task) -> Dict[str, str]:
    spec = task.spec
    host = socket.gethostname()
    variables = {
        "SLURM_CLUSTER_NAME": "local",
        "SLURM_CPUS_ON_NODE": "1",
        "SLURM_JOB_CPUS_PER_NODE": "1",
        "SLURM_JOBID": spec.id,
        "SLURM_JOB_ID": spec.id,
        "SLURM_JOB_NAME": spec.name,
        "SLURM_JOB_NODELIST": host,
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_JOB_PARTITION": "local",
        "SLURM_JOB_USER": getpass.getuser(),
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
    if task.array_index is not None:
        variables.update(
            SLURM_ARRAY_JOB_ID=spec.id,
            SLURM_ARRAY_TASK_ID=str(task.array_index),
            SLURM_ARRAY_TASK_COUNT=str(len(spec.directories)),
            SLURM_ARRAY_TASK_MIN="0",
            SLURM_ARRAY_TASK_MAX=str(len(spec.directories) - 1),
            SLURM_ARRAY_TASK_STEP="1",
        )
    return {**store.environment(spec.environment), **variables, **spec.extra}
