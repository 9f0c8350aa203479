"""The transport for jobs on this machine, without ssh, login shell or rsync."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pytest_remex.agent.serve import Responder
from pytest_remex.agent.wire import Reply
from pytest_remex.common.files import FilesBelow
from pytest_remex.common.protocol import Error, ListOutputs
from pytest_remex.common.records import ReadRecords
from pytest_remex.errors import RemoteError
from pytest_remex.transport.agent_client import error_of
from pytest_remex.transport.base import CHUNK
from pytest_remex.transport.transfer import STAGING, FolderMaker, TransferProgress, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_remex.common.protocol import Event, Request
    from pytest_remex.transport.transfer import Transfer


READS = (ListOutputs, ReadRecords)
"""Requests that change nothing: to start an agent for one takes longer than to answer it here."""
SETTLED = 2.0
"""Seconds since the last write after which a file counts as complete, and is hard-linked."""


def answer_here(request: Request) -> Iterator[Event]:
    """Answer a request that changes nothing as an agent does, without one.

    Raises:
        RemoteError: The answer is an error.
    """
    events: list[Event] = []
    end = Responder().answer(request, Reply(events.append, threading.Event(), modules=""))
    if isinstance(end, Error):
        raise error_of(end, LocalTransport.place)
    return iter(events)


class LocalTransport:
    """Runs programs with the Python that runs this one; see `Transport`."""

    place = way = "this machine"

    def __init__(self) -> None:
        # a program may be started while a patch runs, which changes the working directory
        self._folder = _working_directory()

    def python(self, program: str) -> LocalChannel:
        """See `Transport`."""
        folder = self._folder if self._folder.is_dir() else _working_directory()
        # -I ignores the variable by which the user asks for no compiled files
        options = ["-B"] if sys.dont_write_bytecode else []
        # the agent needs the standard library only: -S leaves out what is installed
        return LocalChannel([sys.executable, *options, "-S", "-I", "-u", "-c", program], folder)

    def copy(self, transfer: Transfer) -> None:
        """See `Transport`. Files behind a symbolic link are skipped too.

        Unchanged files are copied too: to compare them costs as much.
        """
        source = FilesBelow(transfer.source)
        if not source.exists():
            raise RemoteError(f"the runs folder {transfer.source} cannot be read: check remex_runs")
        folders = FolderMaker(transfer.staging)
        started = time.monotonic()
        files = size = 0
        for name in transfer.names:
            *parents, last = name.split("/")
            if (opened := source.open(name)) is not None:
                part, target = transfer.staging / STAGING, folders.make(tuple(parents)) / last
                size += _copy_file(opened, source.path(name), part, target)
                files += 1
                transfer.report(TransferProgress.since(started, files, size))

    def close(self) -> None:
        """See `Transport`; there is no connection."""


def _working_directory() -> Path:
    """Return the working directory; the root if it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")


class LocalChannel:
    """A program on this machine, in its own session, so that only pytest gets a Ctrl-C."""

    def __init__(self, words: Sequence[str], folder: Path | None = None) -> None:
        self._process = subprocess.Popen(
            words,
            cwd=folder,
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
        """See `Channel`. If a signal ended the program: 128 plus the signal, as in a shell."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return code if code >= 0 else 128 - code

    def close(self) -> None:
        """See `Channel`. Kills the program if it does not end within five seconds."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self.wait(5) is None:
            self._process.kill()
            self._process.wait()


def _read(stream: IO[bytes] | None) -> bytes:
    """Read what has arrived; close the stream at its end, which only the reader notices."""
    if stream is None or stream.closed:
        return b""
    data = stream.read(CHUNK)
    if not data:
        stream.close()
    return data


def _copy_file(opened: int, source: str, part: Path, target: Path) -> int:
    """Hard-link or copy an open file to `target`; return its size.

    A copy gets the modification time that the file had at the start: if the file grows meanwhile,
    it is newer than its copy.
    """
    with os.fdopen(opened, "rb") as file:
        status = os.fstat(opened)
        try:
            if _link(source, status, part, target):
                return status.st_size
            with part.open("wb") as copied:
                shutil.copyfileobj(file, copied, 1 << 20)
            os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))
            part.replace(target)
        except OSError as error:
            raise unwritable(target, error) from error
    return status.st_size


def _link(source: str, status: os.stat_result, part: Path, target: Path) -> bool:
    """Hard-link an open file to `target`; return False if it must be copied.

    A file that was written to just now may not be complete: it is copied.
    """
    if time.time() - status.st_mtime < SETTLED:
        return False
    part.unlink(missing_ok=True)
    try:
        os.link(source, part, follow_symlinks=False)
    except OSError:
        return False
    linked = part.lstat()
    if (linked.st_dev, linked.st_ino) != (status.st_dev, status.st_ino):
        return False
    # renaming a file onto another hard link of itself does nothing
    target.unlink(missing_ok=True)
    part.replace(target)
    return True
