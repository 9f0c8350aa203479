"""This machine as a place of runs: no ssh, no login shell."""

from __future__ import annotations

import subprocess
import sys
from typing import IO, TYPE_CHECKING

from pytest_remex.transport.base import CHUNK
from pytest_remex.transport.local_copy import copy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_remex.transport.transfer import Wanted


class LocalTransport:
    """Runs programs with the Python that runs this one; see `Transport`."""

    place = "this machine"

    def python(self, program: str) -> LocalChannel:
        """See `Transport`."""
        return LocalChannel([sys.executable, "-I", "-u", "-c", program])

    def copy(self, wanted: Wanted) -> None:
        """See `Transport`: copies all, since a local copy costs no more than a comparison."""
        copy(wanted)

    def close(self) -> None:
        """See `Transport`: nothing is held open."""


class LocalChannel:
    """A program on this machine, in a session of its own: Ctrl-C reaches pytest alone."""

    def __init__(self, words: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            words,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def read(self) -> bytes:
        """See `Channel`."""
        return _read(self._process.stdout)

    def read_error(self) -> bytes:
        """See `Channel`."""
        return _read(self._process.stderr)

    def write(self, data: bytes) -> None:
        """See `Channel`."""
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            raise BrokenPipeError("its stdin is closed")
        rest = memoryview(data)
        while rest:
            rest = rest[stdin.write(rest) :]

    def wait(self, seconds: float) -> int | None:
        """See `Channel`. A program that a signal ended gives 128 and its number, as in a shell."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return code if code >= 0 else 128 - code

    def close(self) -> None:
        """See `Channel`. Kills a program that has not ended five seconds after its stdin."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self.wait(5) is None:
            self._process.kill()
            self._process.wait()


def _read(stream: IO[bytes] | None) -> bytes:
    """Read what is there, and close the stream at its end: nobody else knows when that is."""
    if stream is None or stream.closed:
        return b""
    data = stream.read(CHUNK)
    if not data:
        stream.close()
    return data
