"""A program at the end of an ssh channel, and its greeting: nothing is sent before that came.

A login file may start another shell, which would run what it is sent as its script, or ask a
question, which would take it for the answer. So the program first reports that it runs.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from typing import TYPE_CHECKING

import paramiko

from pytest_remex.errors import RemoteError
from pytest_remex.transport.base import CHUNK, last_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEPARATE_STREAMS = ("sh", "-c", 'exec "$@" 7<&0 8>&1 </dev/null >&2', "sh")
"""Words before a shell's own that keep its login files away from the program's streams.

What login files read is empty, and what they write, in the background too, goes to stderr.
"""
_TAKE_STREAMS_BACK = """\
for kept, stream in ((7, 0), (8, 1)):
    try:
        mode = os.fstat(kept).st_mode
    except OSError:
        mode = 0
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        word = "closed"
        break
    os.dup2(kept, stream)
    os.close(kept)
"""
_GREET = """\
import os, stat
word = "ready"
{take}os.write(1, ("\\n%s%s %s\\n" % ({halves[0]!r}, {halves[1]!r}, word)).encode())
if word != "ready":
    raise SystemExit
"""
_STEP = 0.1
_SLOW = 10.0
"""Seconds after which a start is slow, and the user is notified."""
_MAX_NOISE = 1 << 24
_KEPT = 2000
"""Bytes of noise to keep for a message."""
_COMMAND_NOT_FOUND = 127
_FIX = (
    "let it do so in a terminal only, by `[[ $- == *i* ]] && exec zsh` or `[ -t 0 ] && read ...`, "
    "or set remex_shell, or Remote(shell=...), to a shell whose login files do not, such as "
    "`zsh -lc`"
)
WINDOW = 1 << 22
"""Bytes that a channel may carry ahead of its reader."""
_PIECE = 1 << 18
"""Bytes to send at a time: paramiko copies what it has not sent yet, so a large piece is slow."""
_CLOSE_TIMEOUT = 2.0
_LINGER = 5.0
"""Seconds without output between checks whether the program ended, others may hold its streams."""
_LINK_CHECK = 0.2
"""Seconds for an ssh connection that has closed its channels to report that it broke."""


class Greeting:
    """The greeting of one program, and what came before and after it.

    The mark is joined there from two halves: a shell that echoes its commands does not greet.

    Attributes:
        word: "ready", or "closed" where the shell closed the kept streams; empty before it came.
        rest: What came after it.
        ended: Whether the program's stdout has ended.
    """

    def __init__(self) -> None:
        self.word = ""
        self.rest = b""
        self.ended = False
        self._halves = secrets.token_hex(8), secrets.token_hex(8)
        self._mark = re.compile(rb"%s (ready|closed)\n" % "".join(self._halves).encode())
        self._size = 0
        self._stdout = b""
        self._stderr = b""

    def before(self, program: str, *, separate_streams: bool) -> str:
        """Return the program that greets and continues as `program`.

        With `separate_streams`, for a shell behind `SEPARATE_STREAMS`, it first takes its streams
        back. Where the shell has closed them, as csh does, it greets by "closed" and ends.
        """
        take = _TAKE_STREAMS_BACK if separate_streams else ""
        return _GREET.format(take=take, halves=self._halves) + program

    def wait(self, channel: paramiko.Channel, seconds: float, on_slow: Callable[[], None]) -> None:
        """Read until the greeting came, the program ended or wrote too much, or time is up.

        `on_slow` is called once if that takes long.
        """
        started = time.monotonic()
        slow = False
        channel.settimeout(_STEP)
        while not self.word and not self.ended and self._size < _MAX_NOISE:
            waited = time.monotonic() - started
            if waited > seconds:
                return
            if waited > _SLOW and not slow:
                slow = True
                on_slow()
            self._read(channel)

    def error(self, place: str, code: int | None, seconds: float) -> RemoteError:
        """Return the error for a greeting that did not come.

        Args:
            place: Where the program was started, for the message.
            code: The exit code, None where there is none.
            seconds: How long the greeting was waited for.
        """
        output = self._last_output()
        if code == _COMMAND_NOT_FOUND and b"python3" in self._stderr:
            return RemoteError(
                f"python3 was not found on {place} (exit code {code}{output}): pytest-remex needs "
                f"Python 3.6 or newer; load it in the login files there, or through remex_shell"
            )
        if code:
            return RemoteError(
                f"python3 did not start on {place} (exit code {code}{output}): check the login "
                f"files there, or remex_shell"
            )
        what = f"nothing came from it in {seconds:g} s"
        if code == 0:
            what = "the shell there ended (exit code 0) before it started python3"
        elif self._size >= _MAX_NOISE:
            what = f"the shell wrote {self._size >> 20} MiB of other text"
        return RemoteError(
            f"python3 did not start on {place}: {what}{output}. The usual cause is a login file "
            f"there (.bashrc, .bash_profile, .profile, .zshenv, .cshrc) that starts another shell, "
            f"asks a question or exits: {_FIX}. Nothing was sent there"
        )

    def _read(self, channel: paramiko.Channel) -> None:
        try:
            data = channel.recv(CHUNK)
        except TimeoutError:
            data = None
        except EOFError:  # paramiko could not tell the other end that it may send more
            data = b""
        while self._size < _MAX_NOISE and channel.recv_stderr_ready():
            self._stderr = self._search(self._stderr, channel.recv_stderr(CHUNK))
        if data is not None:
            self.ended = not data
            self._stdout = self._search(self._stdout, data)

    def _search(self, before: bytes, data: bytes) -> bytes:
        """Search a stream for the greeting, and return what to keep of it for a message."""
        self._size += len(data)
        text = before + data
        if match := self._mark.search(text):
            self.word, self.rest = match[1].decode(), text[match.end() :]
        return text[-_KEPT:]

    def _last_output(self) -> str:
        texts = [last_lines(data) for data in (self._stdout, self._stderr)]
        output = " and ".join(repr(text) for text in texts if text)
        return f", after {output}" if output else ""


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
        ended = False
        while True:
            try:
                return receive(WINDOW)
            except TimeoutError:
                if ended:
                    return b""
                # What the program wrote last may come after its exit status: look once more.
                ended = self._channel.exit_status_ready()
            except EOFError:  # paramiko could not tell the other end that it may send more
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
            break_after(_CLOSE_TIMEOUT, self._ssh),
        ):
            self._channel.close()


@contextlib.contextmanager
def break_after(seconds: float, ssh: paramiko.Transport) -> Iterator[None]:
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
