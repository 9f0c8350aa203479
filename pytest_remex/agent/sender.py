"""Send files to a client that has no rsync to use: one stream of what it lacks.

After a line with a fault, or with none, a stream of records follows: a `HEADER`, and the rest of
the file in pieces, each with its length before it, and packed if that makes it smaller; a piece
of no bytes ends the file, and the number `LAST` the stream. Missing and unreadable files are left
out, and no link is followed.
"""

import hashlib
import json
import os
import struct
import sys
import zlib
from typing import Any, BinaryIO, Dict

from pytest_remex.common.files import FilesBelow

HEADER = struct.Struct(">IQqQ")
"""A file's number in the request, its size, its time of modification, and where its rest begins."""
LAST = 0xFFFFFFFF
"""The number after the last file."""
LENGTH = struct.Struct(">I")
"""The length of a piece; with the bit `PACKED` that of a piece that zlib has packed."""
PACKED = 1 << 31
NO_BYTES = LENGTH.pack(0)
"""The piece that ends a file."""
PIECE = 1 << 16
"""Bytes of the largest piece, unpacked."""
_WORTH = 0.9
"""The share of its size that a piece must be packed to."""
_UNPACKED = 15
"""How many pieces go as they are after one that could not be packed."""


def start(line: Dict[str, Any]) -> None:
    """Send the files that a start line names to stdout: see `send_files`."""
    os.nice(line["nice"])
    send_files(line, sys.stdout.buffer)


def send_files(line: Dict[str, Any], sink: BinaryIO) -> None:
    """Send the files that a start line names.

    Args:
        line: `nonce` begins the first line; `source` is the folder of the files; `files` has for
            each its path there, how many bytes of its beginning the client has, and their digest.
        sink: Where the stream goes.

    """
    source, fault = FilesBelow(line["source"]), ""
    if not source.exists():
        fault = f"the runs folder {line['source']} cannot be read: check remex_runs"
    sink.write(b"\n%s %s\n" % (line["nonce"].encode("ascii"), json.dumps(fault).encode("ascii")))
    if not fault:
        _Sender(source, sink).send(line["files"])
    sink.flush()


class _Sender:
    """Writes files below a folder into a stream."""

    def __init__(self, source: FilesBelow, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._as_they_are = 0

    def send(self, files: Any) -> None:  # noqa: ANN401 - as JSON has it
        """Send files, and the end of the stream."""
        for number, (name, size, digest) in enumerate(files):
            opened = self._source.open(name)
            if opened is not None:
                with os.fdopen(opened, "rb", 0) as file:
                    self._send(number, file, size, digest)
        self._sink.write(HEADER.pack(LAST, 0, 0, 0))

    def _send(self, number: int, file: BinaryIO, size: int, digest: str) -> None:
        about = os.fstat(file.fileno())
        start = size if 0 < size <= about.st_size and digest_of_start(file, size) == digest else 0
        self._sink.write(HEADER.pack(number, about.st_size, about.st_mtime_ns, start))
        file.seek(start)
        left = about.st_size - start
        while left > 0:
            piece = file.read(min(left, PIECE))
            if not piece:  # it became shorter meanwhile
                break
            left -= len(piece)
            self._write(piece)
        self._sink.write(NO_BYTES)

    def _write(self, piece: bytes) -> None:
        if self._as_they_are:
            self._as_they_are -= 1
        else:
            packed = zlib.compress(piece, 1)
            if len(packed) < _WORTH * len(piece):
                self._sink.write(LENGTH.pack(len(packed) | PACKED) + packed)
                return
            self._as_they_are = _UNPACKED if len(piece) == PIECE else 0
        self._sink.write(LENGTH.pack(len(piece)) + piece)


def digest_of_start(file: BinaryIO, size: int) -> str:
    """Return the digest of a file's first `size` bytes."""
    digest = hashlib.blake2b(digest_size=16)
    file.seek(0)
    while size > 0:
        piece = file.read(min(size, 1 << 20))
        if not piece:
            break
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()
