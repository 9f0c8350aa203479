"""The greeting of a program behind a login shell: until it came, nothing is sent there.

A login file may start another shell, which would run what it is sent as its script, or ask a
question, which would take it for the answer. So the program says first that it is there.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_remex.errors import RemoteError

if TYPE_CHECKING:
    import paramiko

Tell = Callable[[str], None]
"""Told of a start that takes long, in a line for the user."""

APART = ("sh", "-c", 'exec "$@" 7<&0 8>&1 </dev/null >&2', "sh")
"""Words before a shell's own that keep its login files apart from the program's streams.

They read nothing, and what they write, in the background too, goes to stderr.
"""
_TAKE_STREAMS = """\
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
_PATIENCE = 10.0
_MOST_NOISE = 1 << 24
_PIECE = 1 << 16
_TAIL = 2000
_NOT_FOUND = 127
_FIX = (
    "let it do so in a terminal only, by `[[ $- == *i* ]] && exec zsh` or `[ -t 0 ] && read ...`, "
    "or set remex_shell, or Remote(shell=...), to a shell whose login files do not: `zsh -lc`, say"
)
_COLOURS = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]")


class Greeting:
    """What one program says first, and what came from there until then.

    The words are joined there from two halves: a shell that echoes its commands does not greet.
    """

    def __init__(self) -> None:
        self.word = ""
        self.rest = b""
        self.ended = False
        self._halves = secrets.token_hex(8), secrets.token_hex(8)
        self._mark = re.compile(rb"%s (ready|closed)\n" % "".join(self._halves).encode())
        self._size = 0
        self._out = b""
        self._errors = b""

    def before(self, program: str, *, apart: bool) -> str:
        """Return the program that greets and goes on as `program`.

        With `apart`, for a shell behind `APART`, it takes back its streams before that; the word
        is "closed", and the program ends, where the shell has closed them, as csh does.
        """
        return _GREET.format(take=_TAKE_STREAMS if apart else "", halves=self._halves) + program

    def listen(self, channel: paramiko.Channel, seconds: float, slow: Callable[[], None]) -> None:
        """Read until the greeting came, or the program ended, wrote too much, or time is up.

        `slow` is called once where it takes long.
        """
        started = time.monotonic()
        told = False
        channel.settimeout(_STEP)
        while not self.word and not self.ended and self._size < _MOST_NOISE:
            waited = time.monotonic() - started
            if waited > seconds:
                return
            if waited > _PATIENCE and not told:
                told = True
                slow()
            self._read(channel)

    def failure(self, place: str, code: int | None, seconds: float) -> RemoteError:
        """Return what to tell where no greeting came; `code` is an exit code, None for none."""
        said = self._said()
        if code == _NOT_FOUND and b"python3" in self._errors:
            return RemoteError(
                f"python3 was not found on {place} (exit code {code}{said}): it needs Python 3.6 "
                f"or newer; load it in the login files there, or through remex_shell"
            )
        if code:
            return RemoteError(
                f"python3 did not start on {place} (exit code {code}{said}): see the login files "
                f"there, or remex_shell"
            )
        what = f"nothing came from it in {seconds:g} s"
        if code == 0:
            what = "the shell there ended (exit code 0) before it came to that"
        elif self._size >= _MOST_NOISE:
            what = f"the shell wrote {self._size >> 20} MiB of other text"
        return RemoteError(
            f"python3 did not start on {place}: {what}{said}. The usual cause is a login file "
            f"there (.bashrc, .bash_profile, .profile, .zshenv, .cshrc) that starts another shell, "
            f"asks a question or exits: {_FIX}. Nothing was sent there"
        )

    def _read(self, channel: paramiko.Channel) -> None:
        try:
            data = channel.recv(_PIECE)
        except TimeoutError:
            data = None
        except EOFError:  # paramiko could not tell the other end that it may send more
            data = b""
        while self._size < _MOST_NOISE and channel.recv_stderr_ready():
            self._errors = self._search(self._errors, channel.recv_stderr(_PIECE))
        if data is not None:
            self.ended = not data
            self._out = self._search(self._out, data)

    def _search(self, before: bytes, data: bytes) -> bytes:
        """Look for the greeting, and return what to keep of the stream for a message."""
        self._size += len(data)
        heard = before + data
        if found := self._mark.search(heard):
            self.word, self.rest = found[1].decode(), heard[found.end() :]
        return heard[-_TAIL:]

    def _said(self) -> str:
        said = [f"{text!r}" for data in (self._out, self._errors) if (text := last_lines(data))]
        return f", after {' and '.join(said)}" if said else ""


def last_lines(data: bytes, lines: int = 3, most: int = 300) -> str:
    """Return the last lines of what a shell wrote, fit for a terminal, in one line."""
    text = _COLOURS.sub("", data.decode(errors="backslashreplace"))
    kept = [line.strip() for line in re.split(r"[\r\n]", text) if line.strip()][-lines:]
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in " / ".join(kept)
    )[-most:]
