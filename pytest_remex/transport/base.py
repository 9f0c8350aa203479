"""A running program's three streams and its exit code, here or at the end of an ssh channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytest_remex.errors import RemoteError

if TYPE_CHECKING:
    from pytest_remex.transport.transfer import Wanted

CHUNK = 1 << 16
"""Bytes a read from a pipe: what Linux lets a pipe hold."""


class NoChannelError(RemoteError):
    """The server allows no further channel on this connection (sshd's MaxSessions)."""


class Channel(Protocol):
    """A running program. Each reading method may be called in a thread of its own."""

    def read(self) -> bytes:
        """Wait for the next bytes of its stdout; none at the end, or where the link broke."""

    def read_error(self) -> bytes:
        """Wait for the next bytes of its stderr; none at the end."""

    def write(self, data: bytes) -> None:
        """Write all of `data` to its stdin. Raises `OSError` where nobody takes it."""

    def wait(self, seconds: float) -> int | None:
        """Give its exit code; None where it still runs then, or where the link broke."""

    def close(self) -> None:
        """End its stdin, which ends an agent, and let go of it."""


class Transport(Protocol):
    """A way to run Python programs at one place, whose name for messages is `place`."""

    place: str

    def python(self, program: str) -> Channel:
        """Start a program, given as its source, there. Python is running it when this returns."""

    def copy(self, wanted: Wanted) -> None:
        """Copy files; one that is not there, or may not be read, is left out."""

    def close(self) -> None:
        """End what the door holds open."""
