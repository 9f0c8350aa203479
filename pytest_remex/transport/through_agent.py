"""Copying files without rsync, in one stream from a program of the agent."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import stat
import threading
import time
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from pytest_remex import agent
from pytest_remex.agent.sender import HEADER, LAST, LENGTH, PACKED, PIECE, digest_of_start
from pytest_remex.errors import RemoteError
from pytest_remex.transport.base import (
    EXIT_TIMEOUT,
    PARTIAL,
    LastErrors,
    fetch_lost,
    marked_line,
    next_of,
)
from pytest_remex.transport.transfer import FolderMaker, TransferProgress, unwritable

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_remex.transport.base import Channel, Transport
    from pytest_remex.transport.transfer import Transfer

_AHEAD = 64
"""The most pieces that may wait to be written."""
_MOST = 1 << 20
"""Bytes to copy at a time."""
_REPORT_EVERY = 0.05
_STEP = 0.5


def pull_through_agent(transport: Transport, transfer: Transfer, *, idle_timeout: float) -> None:
    """Copy files; skip missing and unreadable ones. Only what is new in a file is sent.

    Raises:
        RemoteError: It failed, there or here.
        ConnectionLostError: The connection broke, or was silent for `idle_timeout` seconds; the
            next transfer continues the files that were begun.
    """
    files = [_File.at(name, transfer) for name in transfer.names]
    nonce = secrets.token_hex(8)
    start = {
        "nonce": nonce,
        "run": "sender",
        "modules": agent.bundle(agent.SENDER),
        "nice": 10,
        "source": transfer.source,
        "files": [[each.name, each.size, each.digest] for each in files],
    }
    channel = transport.python(agent.BOOT)
    stream = _Stream(channel, transport.place, idle_timeout)
    try:
        channel.write(json.dumps(start).encode() + b"\n")
        if fault := json.loads(stream.line_after(nonce.encode() + b" ")):
            raise RemoteError(f"{transport.place}: {fault}")
        _Copying(transfer, files, stream).copy()
    except (OSError, EOFError) as error:
        raise fetch_lost(transport.place, "broke") from error
    finally:
        stream.close()


class _File(NamedTuple):
    """A file to copy; `known` is the file with what is here of it, `size` bytes."""

    name: str
    part: Path
    known: Path | None = None
    size: int = 0
    digest: str = ""

    @classmethod
    def at(cls, name: str, transfer: Transfer) -> _File:
        """Look for a part that an earlier transfer left, then for the complete file."""
        part = transfer.staging / PARTIAL / name
        for known in (part, transfer.destination / name):
            try:
                about = known.lstat()
                if stat.S_ISREG(about.st_mode) and about.st_size:
                    with known.open("rb") as file:
                        digest = digest_of_start(file, about.st_size)
                    return cls(name, part, known, about.st_size, digest)
            except OSError:
                continue
        return cls(name, part)


class _Copying:
    """One transfer: writes each file as a part, and renames it when it is complete."""

    def __init__(self, transfer: Transfer, files: list[_File], stream: _Stream) -> None:
        self._transfer = transfer
        self._files = files
        self._stream = stream
        self._folders = FolderMaker(transfer.staging)
        self._began = time.monotonic()
        self._reported = 0.0
        self._whole = 0
        self._bytes = 0

    def copy(self) -> None:
        """Write all files that arrive."""
        while True:
            number, size, mtime, start = HEADER.unpack(self._stream.read(HEADER.size))
            if number == LAST:
                break
            if number >= len(self._files) or start > self._files[number].size or start > size:
                raise self._stream.damaged()
            try:
                self._write(self._files[number], start, mtime)
            except OSError as error:
                raise unwritable(self._files[number].part, error) from error
        self._report(now=True)

    def _write(self, each: _File, start: int, mtime: int) -> None:
        *parents, last = each.name.split("/")
        folder = self._folders.make((PARTIAL, *parents))
        if start and each.known != each.part and each.known is not None:
            with each.known.open("rb") as known, each.part.open("wb") as part:
                _copy_start(known, part, start)
        with each.part.open("r+b" if start else "wb") as part:
            part.truncate(start)
            part.seek(start)
            self._bytes += start
            while piece := self._stream.piece():
                part.write(piece)
                self._bytes += len(piece)
                self._report()
        os.utime(folder / last, ns=(mtime, mtime))
        (folder / last).replace(self._folders.make(tuple(parents)) / last)
        self._whole += 1
        self._report()

    def _report(self, *, now: bool = False) -> None:
        passed = time.monotonic() - self._began
        if now or passed - self._reported > _REPORT_EVERY:
            self._reported = passed
            progress = TransferProgress.since(self._began, self._whole, self._bytes)
            self._transfer.report(progress)


def _copy_start(source: BinaryIO, sink: BinaryIO, size: int) -> None:
    while size > 0 and (piece := source.read(min(size, _MOST))):
        sink.write(piece)
        size -= len(piece)


class _Stream:
    """The output of the program there, with a time limit for each read."""

    def __init__(self, channel: Channel, place: str, idle_timeout: float) -> None:
        self._channel = channel
        self._place = place
        self._idle_timeout = idle_timeout
        self._came: queue.Queue[bytes] = queue.Queue(_AHEAD)
        self._rest = b""
        self._closed = threading.Event()
        threading.Thread(target=self._receive, name="remex-files", daemon=True).start()
        self._errors = LastErrors(channel)

    def line_after(self, mark: bytes) -> bytes:
        """Skip the output of login files, and return the rest of the line after the mark."""
        line, self._rest = marked_line(mark, self._next) or (b"", b"")
        return line

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        parts, length = [self._rest], len(self._rest)
        while length < size:
            parts.append(self._next())
            length += len(parts[-1])
        data = b"".join(parts) if len(parts) > 1 else self._rest
        self._rest = data[size:]
        return data[:size]

    def piece(self) -> bytes:
        """Return the next piece of a file; empty at its end."""
        length = LENGTH.unpack(self.read(LENGTH.size))[0]
        data = self.read(min(length & ~PACKED, PIECE + 1))
        if length & PACKED:
            try:
                data = zlib.decompressobj().decompress(data, PIECE + 1)
            except zlib.error as error:
                raise self.damaged() from error
        if len(data) > PIECE:
            raise self.damaged()
        return data

    def damaged(self) -> RemoteError:
        """Return the error for malformed data."""
        return fetch_lost(self._place, "carried malformed data")

    def _next(self) -> bytes:
        try:
            data = next_of(self._came, self._idle_timeout)
        except queue.Empty:
            raise fetch_lost(self._place, f"was silent for {self._idle_timeout:g} s") from None
        if data:
            return data
        code = self._channel.wait(EXIT_TIMEOUT)
        if code is None:
            raise fetch_lost(self._place, "broke")
        raise RemoteError(
            f"{self._place}: the program that sends files ended (exit code {code}): {self._errors}"
        )

    def close(self) -> None:
        """End the program."""
        self._closed.set()
        self._channel.close()

    def _receive(self) -> None:
        data = b"-"
        while data and not self._closed.is_set():
            data = self._channel.read()
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        """Queue what came, once there is room for it."""
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._came.put(data, timeout=_STEP)
                return
