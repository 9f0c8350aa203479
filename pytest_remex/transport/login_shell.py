"""Programs that a login shell starts. Nothing is sent to one before it has sent its greeting.

A login file may start another shell, which would run whatever it is sent as a script, or ask a
question, which would take that as the answer. So the program first reports that it runs.
"""

from __future__ import annotations

import base64
import contextlib
import re
import secrets
import shlex
import time
from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pytest_remex.errors import RemoteError
from pytest_remex.transport.base import (
    EXIT_TIMEOUT,
    KEPT,
    Channel,
    NoChannelError,
    NoRsyncError,
    connection_lost,
    last_lines,
    retried,
)
from pytest_remex.transport.rsync import pull
from pytest_remex.transport.through_agent import pull_through_agent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_remex.model import Remote
    from pytest_remex.transport.base import Notify
    from pytest_remex.transport.transfer import Transfer

APART = "7<&0 8>&1 </dev/null >&2"
"""Redirections that keep a shell's login files away from the program's streams.

Login files read from an empty stdin; what they write, also in the background, goes to stderr.
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
_CHANNEL_PAUSES = (0.05, 0.2, 0.5)
_SLOW = 10.0
"""Seconds after which a start is slow, and the user is notified."""
_MAX_NOISE = 1 << 24
_COMMAND_NOT_FOUND = 127
_FIX = (
    "let it do so in a terminal only, by `[[ $- == *i* ]] && exec zsh` or `[ -t 0 ] && read ...`, "
    "or set remex_shell, or Remote(shell=...), to a shell whose login files do not, such as "
    "`zsh -lc`"
)
_UNPACK = "import base64,sys;exec(base64.b64decode(sys.argv[1]))"
_STARTED_BY_LOGIN_FILES = ("zsh", "bash", "fish", "tcsh")
LINGER = 5.0
"""Seconds without output before checking whether the program ended: others may hold its pipes."""


class ShellEndedError(RemoteError):
    """The login shell ended without a word or the program, as after a login file's `exec`."""


class ShellChannel(Channel, Protocol):
    """A program that a login shell starts; until its greeting, `receive` reads its output."""

    def receive(self, seconds: float) -> tuple[bytes | None, bytes]:
        """Wait so many seconds for output.

        Returns:
            New bytes of its stdout (None for nothing yet, empty for its end), and of its stderr.
        """

    def begin(self, rest: bytes) -> None:
        """Let the program be read as a `Channel` from now on; `rest` was read already."""


class Greeting:
    """The greeting of one program, and the output before and after it.

    The program joins its mark from two halves, so a shell that echoes commands does not print it.

    Attributes:
        word: "ready", or "closed" if the shell closed the saved streams; empty before it came.
        rest: The output after it.
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
        """Return a program that prints the greeting and then runs `program`.

        With `separate_streams`, if the shell runs with `APART`, it first takes its streams back.
        If the shell has closed them, as csh does, it greets with "closed" and ends.
        """
        take = _TAKE_STREAMS_BACK if separate_streams else ""
        return _GREET.format(take=take, halves=self._halves) + program

    @property
    def last_errors(self) -> bytes:
        """The last bytes of its stderr."""
        return self._stderr

    def wait(self, channel: ShellChannel, seconds: float, on_slow: Callable[[], None]) -> None:
        """Read until the greeting comes, the program ends or writes too much, or time is up.

        If that takes long, `on_slow` is called once.
        """
        started = time.monotonic()
        slow = False
        while not self.word and not self.ended and self._size < _MAX_NOISE:
            waited = time.monotonic() - started
            if waited > seconds:
                return
            if waited > _SLOW and not slow:
                slow = True
                on_slow()
            data, errors = channel.receive(_STEP)
            self._stderr = self._search(self._stderr, errors)
            if data is not None:
                self.ended = not data
                self._stdout = self._search(self._stdout, data)

    def error(self, place: str, code: int | None, seconds: float) -> RemoteError:
        """Return the error for a greeting that did not come.

        Args:
            place: Where the program was started, for the message.
            code: The exit code; None if there is none.
            seconds: How long `wait` waited.
        """
        output = self._last_output()
        if code == _COMMAND_NOT_FOUND and b"python3" in self._stderr:
            return RemoteError(
                f"python3 was not found on {place} (exit code {code}{output}): pytest-remex needs "
                f"Python 3.6 or newer; load it in the login files there, or through remex_shell"
            )
        if code and output:
            return RemoteError(
                f"python3 did not start on {place} (exit code {code}{output}): check the login "
                f"files there, or remex_shell"
            )
        what = f"it sent nothing for {seconds:g} s"
        if code is not None:  # that of the last command in a login file, if nothing was said
            what = f"the shell there ended (exit code {code}) before it started python3"
        elif self._size >= _MAX_NOISE:
            what = f"the shell wrote {_MAX_NOISE >> 20} MiB of other text"
        kind = RemoteError if code is None else ShellEndedError
        return kind(
            f"python3 did not start on {place}: {what}{output}. The usual cause is a login file "
            f"there (.bashrc, .bash_profile, .profile, .zshenv, .cshrc, config.fish) that starts "
            f"another shell, asks a question, exits or is slow: {_FIX}. Nothing was sent there"
        )

    def _search(self, before: bytes, data: bytes) -> bytes:
        """Search a stream for the greeting, and return its last bytes, for a message."""
        self._size += len(data)
        text = before + data
        if match := self._mark.search(text):
            self.word, self.rest = match[1].decode(), text[match.end() :]
        return text[-KEPT:]

    def _last_output(self) -> str:
        texts = [last_lines(data) for data in (self._stdout, self._stderr)]
        output = " and ".join(repr(text) for text in texts if text)
        return f", after {output}" if output else ""


class ShellTransport(ABC):
    """A cluster whose programs a login shell starts; see `Transport`.

    Args:
        remote: Its `host` is the name for messages, its `shell` starts the programs.
        notify: Shows the user a line if a program takes long to start.
        close: Logs out.
        idle_timeout: Seconds without a sign of life after which the connection counts as lost.
    """

    way: str
    """How the connection was made, in words."""

    def __init__(
        self,
        remote: Remote,
        notify: Notify,
        close: Callable[[], object],
        *,
        idle_timeout: float,
    ) -> None:
        self.place = str(remote.host)
        self._shell = remote.shell
        self._notify = notify
        self._close = close
        self._idle_timeout = idle_timeout
        self._separate_streams = True
        self._seen_shell = ""
        self._has_rsync = True

    def python(self, program: str) -> ShellChannel:
        """See `Transport`. The python3 that the login shell finds runs the program."""
        start = partial(self._start_in_any_shell, program)
        # the server may still be closing the last session
        return retried(start, _CHANNEL_PAUSES, lambda error: isinstance(error, NoChannelError))

    def copy(self, transfer: Transfer) -> None:
        """See `Transport`; by rsync if both sides have it."""
        if self._has_rsync:
            try:
                pull(self, transfer, idle_timeout=self._idle_timeout)
            except NoRsyncError as error:
                self._has_rsync = False
                self._notify(f"{error}: files are copied through the agent")
            else:
                return
        pull_through_agent(self, transfer, idle_timeout=self._idle_timeout)

    def close(self) -> None:
        """See `Transport`."""
        self._close()

    @abstractmethod
    def _execute(self, command: bytes) -> ShellChannel:
        """Start a command of the login shell. Raises as `Transport.python` does."""

    def _start_in_any_shell(self, program: str) -> ShellChannel:
        """Start a program; if login files start a shell instead, with SHELL set as it is there.

        Most login files that do so look at SHELL first, so that they do it once.
        """
        try:
            return self._start(program)
        except ShellEndedError:
            if self._seen_shell:
                raise
            if channel := self._start_with_other_shell(program):
                return channel
            raise

    def _start_with_other_shell(self, program: str) -> ShellChannel | None:
        for name in _STARTED_BY_LOGIN_FILES:
            self._seen_shell = name
            with contextlib.suppress(ShellEndedError):
                channel = self._start(program)
                self._notify(
                    f"the login files on {self.place} start {name}: they were run with SHELL set "
                    f"to it, so that they do not"
                )
                return channel
        self._seen_shell = ""
        return None

    def _start(self, program: str) -> ShellChannel:
        channel = self._greeted(program)
        if channel is None and self._separate_streams:
            self._separate_streams = False  # the shell closes unknown streams, as csh does
            channel = self._greeted(program)
        if channel is None:
            raise RemoteError(
                f"python3 on {self.place} has no stdin and stdout: remex_shell = {self._shell!r} "
                f"must start a shell that leaves them open"
            )
        return channel

    def _words(self, variables: str, redirections: str) -> Sequence[str]:
        """Return the words to put before a command so that it runs with these of a shell."""
        script = f'{variables} exec "$@" {redirections}'
        return ("sh", "-c", script, "sh") if variables or redirections else ()

    def _greeted(self, program: str) -> ShellChannel | None:
        """Start a program and wait for its greeting; return None if its streams were closed."""
        greeting = Greeting()
        text = greeting.before(program, separate_streams=self._separate_streams)
        words = self._words(self._variables(), APART if self._separate_streams else "")
        channel = self._execute(login_command(self._shell, text, words))
        with contextlib.ExitStack() as unless_ready:
            unless_ready.callback(channel.close)
            greeting.wait(channel, self._idle_timeout, self._notify_slow_start)
            if not greeting.word:
                raise self._start_error(greeting, channel)
            if greeting.word == "ready":
                channel.begin(greeting.rest)
                unless_ready.pop_all()
                return channel
        return None

    def _variables(self) -> str:
        if not self._seen_shell:
            return ""
        return f'SHELL=$(command -v {self._seen_shell} || echo "$SHELL"); export SHELL;'

    def _start_error(self, greeting: Greeting, channel: ShellChannel) -> RemoteError:
        code = channel.wait(EXIT_TIMEOUT) if greeting.ended else None
        if greeting.ended and code is None:
            return self._broke()
        return greeting.error(self.place, code, self._idle_timeout)

    def _broke(self) -> RemoteError:
        return connection_lost(f"the connection to {self.place} broke", "a program was started")

    def _notify_slow_start(self) -> None:
        self._notify(
            f"python3 has not started on {self.place} yet: waiting at most "
            f"{self._idle_timeout:g} s for the login files there"
        )


def login_command(shell: str, program: str, before: Sequence[str] = ()) -> bytes:
    """Quote a Python program as one command for the user's login shell: all quoting is done here.

    The program is sent as base64, without line ends, `!` and quotes, which csh and fish read in
    their own ways.

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
