"""Programs over an ssh connection that is already open."""

from __future__ import annotations

import base64
import contextlib
import shlex
import threading
import time
from typing import TYPE_CHECKING

import paramiko

from pytest_remex.errors import RemoteError
from pytest_remex.transport.base import NoChannelError, connection_lost
from pytest_remex.transport.greeting import SEPARATE_STREAMS, Greeting
from pytest_remex.transport.rsync import pull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_remex.model import Remote
    from pytest_remex.transport.base import Notify
    from pytest_remex.transport.transfer import Transfer

_WINDOW = 1 << 22
_PIECE = 1 << 18
"""Bytes to send at a time: paramiko copies what it has not sent yet, so a large piece is slow."""
_CLOSE_TIMEOUT = 2.0
_EXIT_TIMEOUT = 5.0
_LINGER = 5.0
"""Seconds without output between checks whether the program ended, others may hold its streams."""
_LINK_CHECK = 0.2
"""Seconds for an ssh connection that has closed its channels to report that it broke."""
_RETRY_PAUSES = (0.05, 0.2, 0.5)
_UNPACK = "import base64,sys;exec(base64.b64decode(sys.argv[1]))"


class SshChannel:
    """A program at the end of an ssh channel; see `Channel`."""

    def __init__(
        self, channel: paramiko.Channel, ssh: paramiko.Transport, *, idle_timeout: float
    ) -> None:
        self._channel = channel
        self._ssh = ssh
        self._idle_timeout = idle_timeout
        self._rest = b""

    def wait_for_greeting(self, greeting: Greeting, on_slow: Callable[[], None]) -> bool:
        """Wait for the program's greeting, before anything else; return whether it came."""
        greeting.wait(self._channel, self._idle_timeout, on_slow)
        self._rest = greeting.rest
        self._channel.settimeout(min(_LINGER, self._idle_timeout))
        return bool(greeting.word)

    def read(self) -> bytes:
        """See `Channel`. Waits however long it takes: the caller knows how long is too long.

        It ends with the program too, though a login file's background job may hold stdout open.
        """
        if self._rest:
            rest, self._rest = self._rest, b""
            return rest
        return self._receive(self._channel.recv)

    def read_error(self) -> bytes:
        """See `Channel`; as `read`."""
        return self._receive(self._channel.recv_stderr)

    def _receive(self, receive: Callable[[int], bytes]) -> bytes:
        while True:
            try:
                return receive(_WINDOW)
            except TimeoutError:
                if self._channel.exit_status_ready():
                    return b""
            except EOFError:  # paramiko could not tell the other end that it may send more
                return b""

    def write(self, data: bytes) -> None:
        """See `Channel`. Raises `OSError` if a piece is not accepted in `idle_timeout` seconds."""
        for start in range(0, len(data), _PIECE):
            with _break_after(self._idle_timeout, self._ssh):
                self._send(data[start : start + _PIECE])

    def _send(self, piece: bytes) -> None:
        deadline = time.monotonic() + self._idle_timeout
        while piece:
            try:
                piece = piece[self._channel.send(piece) :]
            except TimeoutError:  # the channel's timeout, which is set for `read`
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
        """See `Channel`. The program sees the end of its stdin, unless the connection is gone."""
        with (
            contextlib.suppress(OSError, paramiko.SSHException),
            _break_after(_CLOSE_TIMEOUT, self._ssh),
        ):
            self._channel.close()


class SshTransport:
    """A cluster at the end of an ssh connection that has logged in; see `Transport`.

    Args:
        ssh: The connection.
        remote: Its `host` is the name for messages, its `shell` starts the programs.
        notify: Shows the user a line if a program takes long to start.
        idle_timeout: Seconds without a sign of life after which the connection counts as lost.
        close: Logs out.
    """

    def __init__(
        self,
        ssh: paramiko.Transport,
        remote: Remote,
        notify: Notify,
        *,
        idle_timeout: float,
        close: Callable[[], None],
    ) -> None:
        self.place = str(remote.host)
        self._ssh = ssh
        self._shell = remote.shell
        self._notify = notify
        self._idle_timeout = idle_timeout
        self._close = close
        self._separate_streams = True

    def python(self, program: str) -> SshChannel:
        """See `Transport`. The python3 that the login shell finds runs the program."""
        channel = self._start(program)
        if channel is None:
            self._separate_streams = False  # the shell closes streams it does not know, as csh does
            channel = self._start(program)
        if channel is None:
            raise RemoteError(
                f"python3 on {self.place} has no stdin and stdout: remex_shell = {self._shell!r} "
                f"must start a shell that leaves them open"
            )
        return channel

    def copy(self, transfer: Transfer) -> None:
        """See `Transport`; by rsync."""
        pull(self, transfer, idle_timeout=self._idle_timeout)

    def close(self) -> None:
        """Log out, of each host on the way."""
        self._close()

    def _start(self, program: str) -> SshChannel | None:
        """Start a program and wait for its greeting; None where its streams were closed."""
        greeting = Greeting()
        text = greeting.before(program, separate_streams=self._separate_streams)
        words = SEPARATE_STREAMS if self._separate_streams else ()
        channel = self._execute(login_command(self._shell, text, words))
        with contextlib.ExitStack() as unless_ready:
            unless_ready.callback(channel.close)
            if not channel.wait_for_greeting(greeting, self._notify_slow_start):
                raise self._start_error(greeting, channel)
            if greeting.word == "ready":
                unless_ready.pop_all()
                return channel
        return None

    def _execute(self, command: bytes) -> SshChannel:
        try:
            channel = self._open_channel()
            with _break_after(self._idle_timeout, self._ssh):
                channel.exec_command(command)
        except paramiko.ChannelException as error:
            raise NoChannelError(
                f"{self.place} opens no further channel ({error.text}): "
                f"ask its operators about MaxSessions in sshd_config"
            ) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._broke() from error
        return SshChannel(channel, self._ssh, idle_timeout=self._idle_timeout)

    def _open_channel(self) -> paramiko.Channel:
        """Open a channel; retry, since the server may not quite have closed the last one."""
        for pause in _RETRY_PAUSES:
            try:
                return self._ssh.open_session(window_size=_WINDOW, timeout=self._idle_timeout)
            except paramiko.ChannelException:
                time.sleep(pause)
        return self._ssh.open_session(window_size=_WINDOW, timeout=self._idle_timeout)

    def _start_error(self, greeting: Greeting, channel: SshChannel) -> RemoteError:
        code = channel.wait(_EXIT_TIMEOUT) if greeting.ended else None
        if greeting.ended and code is None:
            return self._broke()
        return greeting.error(self.place, code, self._idle_timeout)

    def _broke(self) -> RemoteError:
        return connection_lost(f"the connection to {self.place} broke", "a program was started")

    def _notify_slow_start(self) -> None:
        self._notify(
            f"python3 has not started on {self.place} yet: waiting for the login files there, "
            f"at most {self._idle_timeout:g} s"
        )


@contextlib.contextmanager
def _break_after(seconds: float, ssh: paramiko.Transport) -> Iterator[None]:
    """Break a connection that accepts no more data: paramiko would wait for ever.

    Raises `OSError` where it is gone, which paramiko reports as `EOFError`.
    """
    timer = threading.Timer(seconds, ssh.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    except EOFError as error:
        raise ConnectionResetError("the connection is gone") from error
    finally:
        timer.cancel()


def login_command(shell: str, program: str, before: Sequence[str] = ()) -> bytes:
    """Quote a Python program as one command for the user's login shell: the only place that quotes.

    The program travels as base64: what is quoted has no line ends, `!` or quotes, which the csh
    family and fish read in their own ways.

    Args:
        shell: A command line that takes a command as its last argument: `Remote.shell`.
        program: The source text.
        before: Words to put before those of `shell`.

    Raises:
        RemoteError: The quotes in `shell` do not match.
    """
    packed = base64.b64encode(program.encode("utf-8", "surrogateescape")).decode()
    words = ["python3", "-I", "-u", "-c", _UNPACK, packed]
    return shlex.join([*before, *_split(shell), f"exec {shlex.join(words)}"]).encode()


def _split(shell: str) -> Sequence[str]:
    try:
        return shlex.split(shell)
    except ValueError as error:
        raise RemoteError(
            f"remex_shell = {shell!r} cannot be split into words: {error}; correct its quotes"
        ) from error
