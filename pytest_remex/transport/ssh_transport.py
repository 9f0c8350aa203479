"""Programs over an ssh connection that is already open: the door to a cluster."""

from __future__ import annotations

import base64
import contextlib
import shlex
import threading
import time
from typing import TYPE_CHECKING

import paramiko

from pytest_remex.errors import RemoteError
from pytest_remex.transport.base import NoChannelError
from pytest_remex.transport.connection_lost import lost
from pytest_remex.transport.greeting import APART, Greeting
from pytest_remex.transport.rsync import pull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_remex.model import Remote
    from pytest_remex.transport.greeting import Tell
    from pytest_remex.transport.transfer import Wanted

_WINDOW = 1 << 22
_PIECE = 1 << 18  # paramiko copies what it has not sent yet: a large piece costs its square
_CLOSING = 2.0
_ENDING = 5.0
_LINGERING = 5.0
"""Seconds without a byte after which what a program left running is no longer listened to."""
_DYING = 0.2
"""Seconds for a transport that has closed its channels to say that the link broke."""
_PAUSES = (0.05, 0.2, 0.5)
_UNPACK = "import base64,sys;exec(base64.b64decode(sys.argv[1]))"


class SshChannel:
    """A program at the end of an ssh channel; see `Channel` for its methods."""

    def __init__(
        self, channel: paramiko.Channel, transport: paramiko.Transport, *, silence: float
    ) -> None:
        self._channel = channel
        self._transport = transport
        self._silence = silence
        self._rest = b""

    def greeted(self, greeting: Greeting, slow: Callable[[], None]) -> bool:
        """Wait for the program's greeting before anything else; whether it came in time."""
        greeting.listen(self._channel, self._silence, slow)
        self._rest = greeting.rest
        self._channel.settimeout(min(_LINGERING, self._silence))
        return bool(greeting.word)

    def read(self) -> bytes:
        """Wait for stdout however long it takes: who asks knows when it has been too long.

        It ends with the program too, though a login file's background job may hold it open.
        """
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        while True:
            try:
                return self._channel.recv(_WINDOW)
            except TimeoutError:
                if self._channel.exit_status_ready():
                    return b""
            except EOFError:  # paramiko could not tell the other end that it may send more
                return b""

    def read_error(self) -> bytes:
        """Wait for stderr, as `read`."""
        while True:
            try:
                return self._channel.recv_stderr(_WINDOW)
            except TimeoutError:
                if self._channel.exit_status_ready():
                    return b""
            except EOFError:
                return b""

    def write(self, data: bytes) -> None:
        """Write to stdin. Raises `OSError` where a piece is not taken in `silence` seconds."""
        for start in range(0, len(data), _PIECE):
            with _broken_after(self._silence, self._transport):
                self._send(data[start : start + _PIECE])

    def _send(self, piece: bytes) -> None:
        deadline = time.monotonic() + self._silence
        while piece:
            try:
                piece = piece[self._channel.send(piece) :]
            except TimeoutError:  # that of `read`
                if time.monotonic() > deadline:
                    raise

    def wait(self, seconds: float) -> int | None:
        """Give the exit code, 128 where a signal ended the program; None where the link broke."""
        if not self._channel.status_event.wait(seconds):
            return None
        code = self._channel.recv_exit_status()
        if code >= 0:
            return code
        self._transport.join(_DYING)
        return 128 if self._channel.eof_received and self._transport.is_active() else None

    def close(self) -> None:
        """Close the channel: the program sees the end of its stdin, unless the link is gone."""
        with (
            contextlib.suppress(OSError, paramiko.SSHException),
            _broken_after(_CLOSING, self._transport),
        ):
            self._channel.close()


class SshTransport:
    """The cluster at the end of a transport that has logged in."""

    def __init__(
        self,
        transport: paramiko.Transport,
        remote: Remote,
        *,
        silence: float,
        tell: Tell,
        close: Callable[[], None],
    ) -> None:
        self.place = str(remote.host)
        self._close = close
        self._transport = transport
        self._shell = remote.shell
        self._silence = silence
        self._tell = tell
        self._apart = True

    def python(self, program: str) -> SshChannel:
        """Start a Python program by the python3 that the login shell finds; it runs when this ends.

        Raises `RemoteError` where it does not start or the server opens no more channels,
        `ConnectionLostError` where the link is gone.
        """
        channel = self._greeted(program)
        if channel is None:
            self._apart = False  # the shell closes what it does not know, as csh does
            channel = self._greeted(program)
        if channel is None:
            raise RemoteError(f"python3 on {self.place} has no streams: see remex_shell")
        return channel

    def _greeted(self, program: str) -> SshChannel | None:
        """Start a program and wait for its greeting; None where its input was closed."""
        greeting = Greeting()
        text = greeting.before(program, apart=self._apart)
        words = APART if self._apart else ()
        channel = self._start(login_command(self._shell, text, words))
        with contextlib.ExitStack() as unless_ready:
            unless_ready.callback(channel.close)
            if not channel.greeted(greeting, self._slow):
                raise self._not_greeted(greeting, channel)
            if greeting.word == "ready":
                unless_ready.pop_all()
                return channel
        return None

    def _not_greeted(self, greeting: Greeting, channel: SshChannel) -> RemoteError:
        code = channel.wait(_ENDING) if greeting.ended else None
        if greeting.ended and code is None:
            return lost(f"the connection to {self.place} broke", "a program was started")
        return greeting.failure(self.place, code, self._silence)

    def _slow(self) -> None:
        self._tell(
            f"python3 has not started on {self.place} yet: waiting for the login files there, "
            f"{self._silence:g} s at most"
        )

    def _start(self, command: bytes) -> SshChannel:
        try:
            channel = self._open()
            with _broken_after(self._silence, self._transport):
                channel.exec_command(command)
        except paramiko.ChannelException as error:
            why = f"opens no further channel ({error.text}): see its sshd's MaxSessions"
            raise NoChannelError(f"{self.place} {why}") from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise lost(f"the connection to {self.place} broke", "a program was started") from error
        return SshChannel(channel, self._transport, silence=self._silence)

    def copy(self, wanted: Wanted) -> None:
        """See `Transport`: by rsync."""
        pull(self, wanted, silence=self._silence)

    def _open(self) -> paramiko.Channel:
        """Open a channel, with patience for a server that has not quite closed the last one."""
        for pause in _PAUSES:
            try:
                return self._transport.open_session(window_size=_WINDOW, timeout=self._silence)
            except paramiko.ChannelException:
                time.sleep(pause)
        return self._transport.open_session(window_size=_WINDOW, timeout=self._silence)

    def close(self) -> None:
        """Log out, of each host on the way."""
        self._close()


@contextlib.contextmanager
def _broken_after(seconds: float, transport: paramiko.Transport) -> Iterator[None]:
    """Break a link that takes nothing more: paramiko would wait for ever.

    Raises `OSError` where it is gone, which paramiko calls the end of a file.
    """
    timer = threading.Timer(seconds, transport.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    except EOFError as error:
        raise ConnectionResetError("the link is gone") from error
    finally:
        timer.cancel()


def login_command(shell: str, program: str, before: Sequence[str] = ()) -> bytes:
    """Quote a Python program as one command for the user's login shell: the only place that quotes.

    `before` are words that come before those of `shell`.

    The program travels as base64, so that what is quoted is without line ends, `!` and quotes,
    which the csh family and fish read in ways of their own.
    """
    packed = base64.b64encode(program.encode("utf-8", "surrogateescape")).decode()
    words = ["python3", "-I", "-u", "-c", _UNPACK, packed]
    return shlex.join([*before, *split_shell(shell), f"exec {shlex.join(words)}"]).encode()


def split_shell(shell: str) -> Sequence[str]:
    """Split `remex_shell` into words. Raises `RemoteError` where its quotes do not match."""
    try:
        return shlex.split(shell)
    except ValueError as error:
        raise RemoteError(f"remex_shell = {shell!r} cannot be read: {error}") from error
