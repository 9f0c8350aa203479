"""pytest commands that start at once: forks of a process that has imported what they import."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

FORKED = Path(__file__).with_name("forked.py")


class Fork:
    """A command that was started; its methods are those of subprocess.Popen."""

    def __init__(self, arguments: list[str], status: socket.socket, output: int) -> None:
        self.args = arguments
        self.stdout = os.fdopen(output, encoding="utf-8")
        self.returncode: int | None = None
        self._status = status
        pid, files, _, _ = socket.recv_fds(status, 100, 1, socket.MSG_CMSG_CLOEXEC)
        self.pid = int(pid)
        self._process = files[0]
        self._read = ""
        self._reader = threading.Thread(target=self._read_all, daemon=True)

    def poll(self) -> int | None:
        """Return the exit code, None while the command runs."""
        if self.returncode is None and select.select([self._status], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the command's end, at most so many seconds, and return its exit code."""
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            with self._status:
                self.returncode = int(self._status.recv(100))
            os.close(self._process)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Read what was not yet read of the output, and wait for the command's end."""
        if self._reader.ident is None:
            self._reader.start()
        self._reader.join(timeout)
        if self._reader.is_alive():
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.stdout.close()
        self.wait(timeout)
        return self._read, None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the command has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._process, number)

    def kill(self) -> None:
        """End the command at once."""
        self.send_signal(signal.SIGKILL)

    def _read_all(self) -> None:
        self._read = self.stdout.read()


class Forks:
    """Starts pytest commands from one process, which runs until the with statement's end."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = dict(os.environ) | {"PYTHONDONTWRITEBYTECODE": "1"}
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, str(FORKED)], stdin=theirs.fileno(), env=environment
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._server.wait()

    def pytest(self, arguments: list[str], folder: Path, environment: Mapping[str, str]) -> Fork:
        """Start pytest with these arguments, in a folder; stderr goes to stdout."""
        request = {"arguments": arguments, "folder": str(folder), "environment": dict(environment)}
        status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output, written = os.pipe()
        files = [theirs.fileno(), written]
        socket.send_fds(self._control, [json.dumps(request).encode()], files)
        theirs.close()
        os.close(written)
        return Fork(arguments, status, output)
