"""Run programs, identify processes, and run things in parallel.

All programs are started here, except sbatch and local jobs.
"""

import contextlib
import errno
import os
import select
import selectors
import signal
import subprocess
import threading
import time
from typing import (
    IO,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Set,
    Tuple,
    TypeVar,
)

from pytest_remex.agent import fs, limits
from pytest_remex.common.redact import redact

MISSING = 127
"""The exit code for a program that does not exist, as in shells."""
NOT_STARTED = 126
"""The exit code for one that exists but could not be started, such as with too many processes."""
_MISSING = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP)
LARGEST = 1 << 26
"""The most bytes that a program may print: squeue prints about 300 per job."""
_LINGER = 2.0
"""Seconds without output after which a program that has ended is not waited for any longer."""
_RUNNING: Set[int] = set()
"""The programs that `run` waits for, to be terminated when the client has disconnected."""

Thing = TypeVar("Thing")


class Ran(NamedTuple):
    """The result of a program: its exit code (None if it timed out) and its two outputs."""

    code: Optional[int]
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Whether the program ended with 0."""
        return self.code == 0

    def message(self) -> str:
        """Return the program's error message, without credentials."""
        if self.code is None:
            return self.err
        said = self.err.strip() or self.out.strip()
        return redact(limits.with_limits(said) if said else limits.ended(self.code))


def run(
    words: List[str],
    *,
    timeout: float,
    env: Optional[Dict[str, str]] = None,
    text: str = "",
    renewed: bool = False,
) -> Ran:
    """Run a program with `text` as its input; if it cannot be started, the code is `start_code`.

    If its time is `renewed`, it begins anew whenever the program prints something.
    """
    try:
        process = subprocess.Popen(
            words,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        return Ran(start_code(error), "", f"{words[0]} was not started: {error.strerror}")
    with process:
        _RUNNING.add(process.pid)
        try:
            out, err = _exchange(process, os.fsencode(text), timeout, renewed=renewed)
        except (TimeoutError, subprocess.TimeoutExpired):
            signal_group(process.pid, signal.SIGKILL)
            return Ran(None, "", f"no answer within {timeout:.0f} s")
        except _TooMuchError:
            signal_group(process.pid, signal.SIGKILL)
            return Ran(1, "", f"{words[0]} printed more than {LARGEST >> 20} MB")
        finally:
            _RUNNING.discard(process.pid)
    return Ran(process.returncode, os.fsdecode(out), os.fsdecode(err))


def start_code(error: OSError) -> int:
    """Return the exit code for a program that was not started: MISSING only if it does not exist.

    A login node without room for a process says nothing about what is installed on it.
    """
    return MISSING if error.errno in _MISSING else NOT_STARTED


def end_all() -> None:
    """Terminate all programs that `run` waits for."""
    for pid in list(_RUNNING):
        signal_group(pid, signal.SIGTERM)


class _TooMuchError(Exception):
    """A program printed more than is kept in memory."""


def _exchange(
    process: "subprocess.Popen[bytes]", data: bytes, timeout: float, *, renewed: bool
) -> Tuple[bytes, bytes]:
    """Write a program's input and read its outputs; raise `TimeoutError` or `_TooMuchError`.

    A script round a command may start a program in the background that keeps the outputs open.
    """
    stdin, out, err = process.stdin, process.stdout, process.stderr
    assert stdin and out and err  # noqa: S101, PT018 - three pipes, as asked for
    read = {out: bytearray(), err: bytearray()}
    rest = memoryview(data)
    deadline = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for stream, kept in read.items():
            selector.register(stream, selectors.EVENT_READ, kept)
        selector.register(stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            left = max(0.0, deadline - time.monotonic())
            ready = selector.select(min(left, _LINGER))
            if not ready and left <= _LINGER:
                raise TimeoutError
            if not ready and process.poll() is not None:
                break
            for key, _ in ready:
                if key.fileobj is stdin:
                    rest = _feed(stdin, rest)
                    if not rest:
                        selector.unregister(stdin)
                        stdin.close()
                elif not _receive(key.fd, key.data):
                    selector.unregister(key.fileobj)
                elif renewed:
                    deadline = time.monotonic() + timeout
    process.wait(max(0.0, deadline - time.monotonic()) or None)
    return bytes(read[out]), bytes(read[err])


def _feed(stdin: IO[bytes], rest: memoryview) -> memoryview:
    """Write as much as fits now; return the rest, or nothing if the program closed its input."""
    try:
        return rest[os.write(stdin.fileno(), rest[: select.PIPE_BUF]) :]
    except BrokenPipeError:
        return rest[:0]


def _receive(pipe: int, kept: bytearray) -> bool:
    """Read what is available; return whether more may come."""
    chunk = os.read(pipe, 1 << 16)
    kept += chunk
    if len(kept) > LARGEST:
        raise _TooMuchError
    return bool(chunk)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# Identify processes by id and start time, because ids are reused ---------------------------------


def birth(pid: int) -> Optional[str]:
    """Return text that identifies when a process started; None if there is no such process."""
    stat = fs.read(f"/proc/{pid}/stat")
    if stat is not None:
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] == "Z" else f"{_boot()} {fields[19]}"
    if os.path.isdir("/proc/self"):
        return None
    return run(["ps", "-o", "lstart=", "-p", str(pid)], timeout=10).out.strip() or None


def _boot() -> str:
    return (fs.read("/proc/sys/kernel/random/boot_id") or "").strip()


def signal_group(group: int, number: int) -> None:
    """Signal a process group, if it still exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def kill_group(pid: Optional[int], born: Optional[str]) -> None:
    """Kill the process group that a process leads, if its start time is still `born`."""
    if pid is not None and pid > 1 and born is not None and birth(pid) == born:
        signal_group(pid, signal.SIGKILL)


def numbers() -> List[int]:
    """Return the ids of all processes; none if the system has no /proc."""
    return [int(name) for name in fs.listing("/proc") if name.isdigit()]


def arguments(pid: int) -> List[bytes]:
    """Return a process's arguments; none if it has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def working_directory(pid: int) -> str:
    """Return a process's working directory; empty if it has ended."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


class ChildExitWaiter:
    """Sleep until a child process exits or a time has passed; for the main thread only."""

    def __init__(self) -> None:
        self._reading_end, writing_end = os.pipe()
        for end in (self._reading_end, writing_end):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writing_end)

    def wait(self, seconds: float) -> None:
        """Sleep until a child exits, at most `seconds`."""
        ended, _, _ = select.select([self._reading_end], [], [], seconds)
        if ended:
            os.read(self._reading_end, 1024)


# Run things in parallel --------------------------------------------------------------------------


def in_parallel(things: Iterable[Thing], act: Callable[[Thing], None], width: int) -> None:
    """Call `act` for every thing from `width` threads; the first exception stops the rest."""
    todo = _Shared(things)
    failures: List[BaseException] = []

    def work() -> None:
        for thing in todo:
            if failures:
                return
            try:
                act(thing)
            except BaseException as error:  # noqa: BLE001 - raised below, where the caller is
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(width)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class _Shared(Iterator[Thing]):
    """An iterator that several threads may use."""

    def __init__(self, things: Iterable[Thing]) -> None:
        self._things = iter(things)
        self._lock = threading.Lock()

    def __next__(self) -> Thing:
        with self._lock:
            return next(self._things)
