"""Copies of launch records in the runs folder, where each client finds the launches of others.

A record has one writer, which appends to the copy what it has appended to its own file. A copy with
other content belongs to another writer and is not changed.
"""

import base64
import os
import re
import stat
import zlib
from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple

from pytest_remex.agent import fs
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.files import open_regular
from pytest_remex.common.records import (
    AppendRecord,
    LaunchOpened,
    OpenLaunch,
    ReadRecords,
    RecordClosed,
    RecordCut,
    RecordLacking,
    RecordPart,
    RecordRefused,
    RunsWithoutRecord,
)

LARGEST = 64 << 20
"""The most bytes of a record that are sent: 100,000 runs have fewer."""
SUFFIX = ".jsonl"
_DIRECTORY = re.compile(r"(?P<head>.+)_time_(?P<stamp>\d{4}(_\d\d){5})_sha_[0-9a-f]{12}$")
_STAMP = 20
"""Bytes of the time in a launch's name, with what is before it."""


def open_launch(request: OpenLaunch, reply: Reply) -> None:
    """Claim a launch's name by creating the copy of its record, with the record's first line.

    If another client has it, nothing is sent.
    """
    path = _path(request.runs, request.record)
    if request.makes_runs:
        os.makedirs(request.runs, exist_ok=True)
    fs.make_common(request.runs, os.path.dirname(path))
    # no folder can be made on a full disk, where a user removes runs
    fs.make_common(request.runs, paths.removed(request.runs))
    if fs.create(path, request.head) or fs.read(path) == request.head:
        reply.send(LaunchOpened())


def append_record(request: AppendRecord, reply: Reply) -> None:
    """Append to the copy of a launch record, unless it belongs to another writer."""
    if not append(request.runs, request.part):
        reply.send(RecordRefused(request.part.record))


def read_records(request: ReadRecords, reply: Reply) -> None:
    """Send what the client lacks of every record, and report what the runs folder lacks.

    A missing runs folder lacks nothing: its file system may just not be mounted.
    """
    if not os.path.isdir(request.runs):
        return
    sizes = {}
    for record, path, about in _records(request.runs):
        sizes[record] = about.st_size
        known = request.known.get(record, 0)
        if about.st_size > known:
            reply.raise_if_disconnected()
            try:
                data = _whole_lines(path, known)
            except PermissionError:
                reply.send(RecordClosed(record, fs.owner(about)))
                continue
            if data:
                packed = base64.b64encode(zlib.compress(data, 6)).decode("ascii")
                reply.send(RecordPart(record, known, packed, fs.owner(about)))
            if known + len(data) < about.st_size:
                reply.send(RecordCut(record))
    for record, known in sorted(request.known.items()):
        if sizes.get(record, 0) < known:
            reply.send(RecordLacking(record, sizes.get(record, 0)))
    if unrecorded(request.runs, {*request.known, *sizes}):
        reply.send(RunsWithoutRecord())


def append(runs: str, part: RecordPart) -> bool:
    """Append a part of a record to its copy, and sync it; existing bytes are not changed.

    Returns:
        Whether the copy now has the part; False if the copy belongs to another writer.

    """
    if not part.record:
        return True
    path, data = _path(runs, part.record), zlib.decompress(base64.b64decode(part.data))
    fs.make_common(runs, os.path.dirname(path))
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(path, flags, 0o666)
    except PermissionError:
        about = _lstat(path)
        if about is None or not fs.owner(about):
            raise
        return False
    try:
        fs.share(file, os.path.dirname(path))
        size = os.fstat(file).st_size
        there = os.pread(file, len(data), part.offset)
        if size < part.offset or there != data[: len(there)]:
            return False
        os.pwrite(file, data[len(there) :], part.offset + len(there))
        os.fsync(file)
    finally:
        os.close(file)
    return True


def keep(runs: str, part: RecordPart) -> None:
    """Append a part of a record; an error of kind runs if the copy belongs to another writer."""
    if not append(runs, part):
        path = _path(runs, part.record)
        message = f"{path} was changed by another output folder: run the same command again"
        raise AgentError("runs", message)


def names(runs: str) -> Set[str]:
    """Return the names of all records."""
    return {record for record, _, _ in _records(runs)}


def unrecorded(runs: str, records: Iterable[str]) -> List[str]:
    """Return the run directories of launches without a record; their names tell the launch."""
    recorded: Dict[str, Set[str]] = {}
    for record in records:
        launch = record.partition("~")[0]
        recorded.setdefault(launch[-_STAMP + 1 :], set()).add("_" + launch[:-_STAMP])
    found = []
    for name in fs.listing(runs):
        match = _DIRECTORY.match(name)
        if match and not match["head"].endswith(tuple(recorded.get(match["stamp"], ()))):
            found.append(name)
    return sorted(found)


def _records(runs: str) -> Iterator[Tuple[str, str, os.stat_result]]:
    """Return each record's name, path and stat; only regular files that have content count."""
    folder = paths.launch_records(runs)
    for name in sorted(fs.listing(folder)):
        record, suffix = os.path.splitext(name)
        path = os.path.join(folder, name)
        about = _lstat(path)
        if suffix != SUFFIX or about is None:
            continue
        if stat.S_ISREG(about.st_mode) and about.st_size:
            yield record, path, about


def _lstat(path: str) -> Optional[os.stat_result]:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _path(runs: str, record: str) -> str:
    if os.path.basename(record) != record or record.startswith(".") or not record:
        raise AgentError("request", f"{record!r} cannot name a launch record")
    return paths.launch_record(runs, record)


def _whole_lines(path: str, start: int) -> bytes:
    """Return the bytes from `start` to the end of the last complete line."""
    file = open_regular(path)
    if file is None:
        return b""
    with os.fdopen(file, "rb") as stream:
        stream.seek(start)
        data = stream.read(LARGEST)
    return data[: data.rfind(b"\n") + 1]
