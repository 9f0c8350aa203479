"""A program on the cluster that an ssh process here runs, with three pipes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import subprocess
import threading
import time
from typing import IO, TYPE_CHECKING

from pytest_remex.transport.login_shell import LINGER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_STEP = 0.5
"""Seconds that a thread waits for a pipe before it checks whether the program was closed."""
_WAIT_STEP = 0.05
_PIPE_SIZE = 1 << 20
"""Capacity of a pipe: with the default of 64 KiB, large transfers are a tenth slower."""
_CLOSE_TIMEOUT = 2.0
_KEPT = 100
"""Bytes of stderr to keep, in which the line with the exit code may have begun."""
SSH_FAILED = 255
"""ssh's own exit code, if the link broke or a signal ended the program."""


class SshProcess:
    """A program that ssh runs on the cluster; see `ShellChannel`.

    Args:
        words: The command line of ssh.
        variables: The environment of ssh.
        mark: The text before the program's exit code on stderr. The exit code is printed because
            an ssh session lasts as long as a login file's background job holds the streams.
        is_alive: Returns whether the connection of the session is open.
        idle_timeout: Seconds after which a program that accepts no data counts as lost.
    """

    def __init__(
        self,
        words: Sequence[str | bytes],
        variables: Mapping[str, str],
        *,
        mark: str,
        is_alive: Callable[[], bool],
        idle_timeout: float,
    ) -> None:
        self._process = subprocess.Popen(
            words,
            bufsize=0,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._input = _Pipe(self._process.stdin)
        self._output = _Pipe(self._process.stdout)
        self._errors = _Pipe(self._process.stderr)
        self._report = re.compile(rb"\n?%s (\d+)\n" % mark.encode())
        self._is_alive = is_alive
        self._idle_timeout = idle_timeout
        self._code: int | None = None
        self._closed = False
        self._rest = b""
        self._last_errors = b""

    def receive(self, seconds: float) -> tuple[bytes | None, bytes]:
        """See `ShellChannel`."""
        data = self._output.read(seconds)
        errors = self._errors.read(0)
        return data, self._without_report(errors) if errors else b""

    def begin(self, rest: bytes) -> None:
        """See `ShellChannel`."""
        self._rest = rest

    def read(self) -> bytes:
        """See `Channel`. Ends with the program, even if others hold its stdout open."""
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        quiet_since, was_over = time.monotonic(), False
        while not self._closed:
            data = self._output.read(_STEP)
            if data is not None:
                return data
            if time.monotonic() - quiet_since > LINGER:
                if was_over:
                    return b""
                # the program's last output may arrive after its exit code: read once more
                quiet_since, was_over = time.monotonic(), self._code is not None
        return b""

    def read_error(self) -> bytes:
        """See `Channel`. Like `read`, without the line that has the exit code."""
        while not self._closed:
            data = self._errors.read(_STEP)
            if data is not None and (not data or (data := self._without_report(data))):
                return data
        return b""

    def write(self, data: bytes) -> None:
        """See `Channel`. Raises `TimeoutError` if nothing is accepted in `idle_timeout` seconds."""
        rest, since = memoryview(data), time.monotonic()
        while rest:
            if sent := self._input.write(rest, _STEP):
                rest, since = rest[sent:], time.monotonic()
            elif time.monotonic() - since > self._idle_timeout:
                raise TimeoutError("nothing was accepted")

    def wait(self, seconds: float) -> int | None:
        """See `Channel`."""
        deadline = time.monotonic() + seconds
        while self._code is None and self._process.poll() is None:
            if time.monotonic() > deadline:
                return None
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_WAIT_STEP)
        if self._code is not None:
            return self._code
        code = self._process.returncode
        return None if code in (SSH_FAILED, None) and not self._is_alive() else code

    def close(self) -> None:
        """See `Channel`. The program sees the end of its stdin; an ssh that hangs is ended."""
        self._input.close()
        self.wait(_CLOSE_TIMEOUT)
        self._closed = True
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._output.close()
        self._errors.close()

    def _without_report(self, data: bytes) -> bytes:
        """Return new bytes of stderr without the line that has the exit code, which is kept."""
        before = self._last_errors
        text = before + data
        self._last_errors = text[-_KEPT:]
        if self._code is None and (report := self._report.search(text)):
            self._code = int(report[1])
            return data[: max(0, report.start() - len(before))] + text[report.end() :]
        return data


class _Pipe:
    """One end of a pipe; one thread may use it while another closes it."""

    def __init__(self, file: IO[bytes] | None) -> None:
        if file is None:
            raise ValueError("not a pipe")
        self._file = file
        self._lock = threading.Lock()
        self._is_closing = False
        os.set_blocking(file.fileno(), False)
        with contextlib.suppress(OSError, AttributeError):  # on Linux only
            fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)

    def read(self, seconds: float) -> bytes | None:
        """Return what has arrived; None if nothing arrives in time, empty at the end."""
        with self._lock:
            if self._is_closing:
                return b""
            if not self._ready(select.POLLIN, seconds):
                return None
            return os.read(self._file.fileno(), _PIPE_SIZE)

    def write(self, data: memoryview, seconds: float) -> int:
        """Write what fits, and return how much; 0 if nothing fits in time."""
        with self._lock:
            if self._is_closing:
                raise BrokenPipeError("its stdin is closed")
            if not self._ready(select.POLLOUT, seconds):
                return 0
            with contextlib.suppress(BlockingIOError):
                return os.write(self._file.fileno(), data[:_PIPE_SIZE])
            return 0

    def close(self) -> None:
        """Close it, as soon as no thread uses it."""
        self._is_closing = True
        with self._lock:
            self._file.close()

    def _ready(self, event: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._file.fileno(), event)
        return bool(poll.poll(seconds * 1000))
