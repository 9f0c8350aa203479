"""What every transport provides, over ssh or on this machine: running programs, copying files."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

from pytest_remex.errors import ConnectionLostError, RemoteError
from pytest_remex.io import AGAIN

if TYPE_CHECKING:
    from pytest_remex.transport.transfer import Transfer

Result = TypeVar("Result")
Notify = Callable[[str], None]
"""Shows the user a line, such as why something takes long."""

FABRIC = "Fabric"
"""The `way` of a connection that is our own login."""

EXIT_TIMEOUT = 5.0
"""Seconds for the exit code of a program whose output has ended."""
PARTIAL = ".remex-part"
"""The folder in which parts of files wait for the next transfer."""
KEPT = 2000
"""The bytes of a program's other output to keep, for a message."""
LOGIN_PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each further login if the server hung up, as sshd's MaxStartups makes it do."""
CHUNK = 1 << 16
"""Bytes to read from a pipe at a time: Linux's default pipe capacity."""

_ESCAPES = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]")


class NoChannelError(RemoteError):
    """The server allows no further channel on this connection (sshd's MaxSessions)."""


class NoRsyncError(RemoteError):
    """There is no rsync to use, here or there."""


def next_of(arrived: queue.Queue[Result] | queue.SimpleQueue[Result], seconds: float) -> Result:
    """Return the next thing of a queue, once it has arrived.

    It waits twice: if this process was stopped for so long, as by Ctrl-Z, what has arrived at the
    machine meanwhile is still to be read.

    Raises:
        queue.Empty: Nothing arrived in so many seconds.

    """
    with suppress(queue.Empty):
        return arrived.get(timeout=seconds / 2)
    return arrived.get(timeout=seconds / 2)


def retried(
    attempt: Callable[[], Result],
    pauses: Iterable[float],
    is_temporary: Callable[[Exception], bool],
) -> Result:
    """Return the result of an attempt, which is repeated after each pause if it failed for now.

    Args:
        attempt: What to attempt.
        pauses: The seconds before each further attempt.
        is_temporary: Returns whether an attempt that raised this may succeed later; else, and after
            the last pause, the error is raised.
    """
    for pause in pauses:
        try:
            return attempt()
        except Exception as error:
            if not is_temporary(error):
                raise
        time.sleep(pause)
    return attempt()


def connection_lost(what: str, work: str) -> ConnectionLostError:
    """Return the error for a connection that was lost during some work.

    Args:
        what: What happened, as a clause that names the place: "the connection to cluster broke".
        work: What was being done, as a clause: "jobs were submitted".
    """
    return ConnectionLostError(
        f"{what} while {work}: it is unknown how far that got; "
        f"{AGAIN} to check and continue from there"
    )


def last_lines(data: bytes) -> str:
    """Return the last lines of a program's output as one line that is safe on a terminal."""
    text = _ESCAPES.sub("", data.decode(errors="backslashreplace"))
    kept = [line.strip() for line in re.split(r"[\r\n]", text) if line.strip()][-3:]
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in " / ".join(kept)
    )[-300:]


def fetch_lost(place: str, what: str) -> ConnectionLostError:
    """Return the error for a connection to a place that was lost during a fetch, and how."""
    return connection_lost(f"the connection to {place} {what}", "files were fetched")


def marked_line(mark: bytes, read: Callable[[], bytes]) -> tuple[bytes, bytes] | None:
    """Skip the output of login files; return the rest of the line after a mark, and what follows.

    Args:
        mark: The mark.
        read: Returns the next bytes; nothing at the end, and then there is no such line.
    """
    text = b""
    while data := read():
        text = text[-len(mark) :] + data if mark not in text else text + data
        line, ended, rest = text.partition(mark)[2].partition(b"\n")
        if ended:
            return line, rest
    return None


class Prompt(Protocol):
    """Asks the user for a passphrase, a password, or a second factor."""

    def __call__(self, text: str, *, echo: bool) -> str:
        """Show `text` and return the answer, which is shown while it is typed if `echo`."""


class Channel(Protocol):
    """A running program. Its stdout and stderr may be read in two threads."""

    def read(self) -> bytes:
        """Wait for the next bytes of its stdout; empty at the end, or if the connection broke."""

    def read_error(self) -> bytes:
        """Wait for the next bytes of its stderr; empty at the end."""

    def write(self, data: bytes) -> None:
        """Write all of `data` to its stdin.

        Raises:
            OSError: The program or the connection no longer accepts data; `TimeoutError` if it
                accepted nothing for too long.
        """

    def wait(self, seconds: float) -> int | None:
        """Return its exit code; None if it still runs after `seconds`, or the connection broke."""

    def close(self) -> None:
        """Close its stdin, which ends an agent, and release the channel."""


class LastErrors:
    """The end of a program's stderr, which a thread reads."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="remex-errors", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait at most so many seconds for all of it."""
        self._thread.join(seconds)

    def __str__(self) -> str:
        """Return the last lines, safe on a terminal."""
        return last_lines(self._kept)

    def _read(self) -> None:
        while data := self._channel.read_error():
            self._kept = (self._kept + data)[-KEPT:]


class Transport(Protocol):
    """A way to run Python programs at one place.

    Attributes:
        place: Its name in messages.
        way: How the connection was made, in words.
    """

    place: str
    way: str

    def python(self, program: str) -> Channel:
        """Start a Python program there, given as source text; it is running on return.

        Raises:
            RemoteError: Python did not start.
            NoChannelError: The server allows no further program on this connection.
            ConnectionLostError: The connection broke.
        """

    def copy(self, transfer: Transfer) -> None:
        """Copy files from there; missing and unreadable files are left out.

        Raises:
            RemoteError: The copy failed.
            NoChannelError: The server allows no further program on this connection.
            ConnectionLostError: The connection broke.
        """

    def close(self) -> None:
        """Close the connection, if there is one."""
