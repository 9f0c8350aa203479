"""A program on the cluster at the end of a paramiko channel."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import paramiko

from pytest_remex.transport.base import CHUNK
from pytest_remex.transport.login_shell import LINGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WINDOW = 1 << 22
"""Bytes that a channel may receive before they are read."""
_PIECE = 1 << 18
"""Bytes to send at a time: paramiko copies what it has not sent yet, so a large piece is slow."""
_CLOSE_TIMEOUT = 2.0
_LINK_CHECK = 0.2
"""Seconds for an ssh connection that has closed its channels to report that it broke."""


class SshChannel:
    """A program at the end of an ssh channel; see `ShellChannel`."""

    def __init__(
        self, channel: paramiko.Channel, ssh: paramiko.Transport, *, idle_timeout: float
    ) -> None:
        self._channel = channel
        self._ssh = ssh
        self._idle_timeout = idle_timeout
        self._rest = b""

    def receive(self, seconds: float) -> tuple[bytes | None, bytes]:
        """See `ShellChannel`."""
        data: bytes | None
        try:
            self._channel.settimeout(seconds)
            data = self._channel.recv(CHUNK)
        except TimeoutError:
            data = None
        except EOFError:  # paramiko could not allow the other end to send more
            data = b""
        ready = self._channel.recv_stderr_ready()
        return data, self._channel.recv_stderr(WINDOW) if ready else b""

    def begin(self, rest: bytes) -> None:
        """See `ShellChannel`."""
        self._rest = rest
        self._channel.settimeout(min(LINGER, self._idle_timeout))

    def read(self) -> bytes:
        """See `Channel`. Has no time limit: the caller knows how long is too long.

        Ends with the program, even if a login file's background job holds stdout open.
        """
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        return self._receive(self._channel.recv)

    def read_error(self) -> bytes:
        """See `Channel`. Like `read`."""
        return self._receive(self._channel.recv_stderr)

    def _receive(self, receive: Callable[[int], bytes]) -> bytes:
        ended = False
        while True:
            try:
                return receive(WINDOW)
            except TimeoutError:
                if ended:
                    return b""
                # the program's last output may arrive after its exit status: read once more
                ended = self._channel.exit_status_ready()
            except EOFError:  # paramiko could not allow the other end to send more
                return b""

    def write(self, data: bytes) -> None:
        """See `Channel`. Raises `OSError` if a piece is not accepted in `idle_timeout` seconds."""
        for start in range(0, len(data), _PIECE):
            with break_after(self._idle_timeout, self._ssh):
                self._send(data[start : start + _PIECE])

    def _send(self, piece: bytes) -> None:
        deadline = time.monotonic() + self._idle_timeout
        while piece:
            try:
                piece = piece[self._channel.send(piece) :]
            except TimeoutError:  # the channel has one timeout, which is set for `read`
                if time.monotonic() > deadline:
                    raise

    def wait(self, seconds: float) -> int | None:
        """See `Channel`. The exit code of a program that a signal ended is 128."""
        if not self._channel.status_event.wait(seconds):
            return None
        code = self._channel.recv_exit_status()
        if code >= 0:
            return code
        self._ssh.join(_LINK_CHECK)
        return 128 if self._channel.eof_received and self._ssh.is_active() else None

    def close(self) -> None:
        """See `Channel`. The program sees the end of its stdin, unless the connection broke."""
        with (
            contextlib.suppress(OSError, paramiko.SSHException),
            break_after(_CLOSE_TIMEOUT, self._ssh),
        ):
            self._channel.close()


@contextlib.contextmanager
def break_after(seconds: float, ssh: paramiko.Transport) -> Iterator[None]:
    """Break a connection that accepts no more data, for which paramiko would wait for ever.

    Raises `OSError` if it broke, which paramiko reports as `EOFError`.
    """
    timer = threading.Timer(seconds, ssh.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    except EOFError as error:
        raise ConnectionResetError("the connection broke") from error
    finally:
        timer.cancel()
