"""Exchange launch records with a runs folder, which all its clients share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from pytest_remex.collect.found_runs import adopt
from pytest_remex.common.records import (
    AppendRecord,
    ReadRecords,
    RecordLacking,
    RecordPart,
    RecordRefused,
    RunsWithoutRecord,
)
from pytest_remex.errors import RemoteError
from pytest_remex.model import Remote
from pytest_remex.records.copies import Copies, packed
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import Event
from pytest_remex.records.store import Journal, LaunchRecord
from pytest_remex.transport import Connect, Connection


def sync(connection: Connection, launches: Path) -> Mapping[str, int]:
    """Copy the records that are missing here, and restore those that the runs folder lacks.

    Args:
        connection: The connection to the remote.
        launches: The output folder's launch records.

    Returns:
        How many bytes of each record both have now, by its name.

    Raises:
        RemoteError: The remote cannot be queried.
        RecordError: A copy cannot be written.

    """
    copies = Copies(launches, connection.remote)
    known = copies.known()
    elsewhere, lacking, has_unrecorded = _read(connection, copies, known)
    if has_unrecorded:
        lacking += [RecordLacking(each, 0) for each in adopt(connection, launches, known)]
    for missing in lacking:
        part = copies.part(missing.record, missing.size)
        for event in connection.ask(AppendRecord(connection.remote.runs, part)):
            if isinstance(event, RecordRefused):
                elsewhere.append(missing.record)
    if elsewhere:  # another output folder, a copy or backup of this one, has continued the record
        _read(connection, copies, copies.known() | dict.fromkeys(elsewhere, 0), take_all=True)
    return copies.known()


def may_hold_records(remote: Remote) -> bool:
    """Return whether a runs folder may exist: a local one does not before the first submit."""
    return remote.host is not None or Path(remote.runs).expanduser().exists()


def _read(
    connection: Connection, copies: Copies, known: Mapping[str, int], *, take_all: bool = False
) -> tuple[list[str], list[RecordLacking], bool]:
    """Take what is new.

    Returns:
        The own records that the runs folder has more of, what it lacks, and whether it has runs
        that no record tells of.

    """
    elsewhere: list[str] = []
    lacking: list[RecordLacking] = []
    has_unrecorded = False
    for event in connection.ask(ReadRecords(connection.remote.runs, dict(known))):
        if isinstance(event, RecordLacking):
            lacking.append(event)
        elif isinstance(event, RunsWithoutRecord):
            has_unrecorded = True
        elif isinstance(event, RecordPart):
            if not take_all and copies.is_own(event.record):
                elsewhere.append(event.record)
            else:
                copies.take(event)
    return elsewhere, lacking, has_unrecorded


def share(
    runs: Iterable[RecordedRun],
    events: Callable[[list[RecordedRun]], Iterable[Event]],
    connect: Connect,
) -> None:
    """Record what became of runs, here and for all clients of their runs folders.

    If the runs folder cannot be written, as on a full disk, the next command appends them.

    Args:
        runs: The runs.
        events: Returns the events about runs of one launch.
        connect: Returns the connection to a remote.

    Raises:
        RecordError: A launch record cannot be written.

    """
    by_record: dict[int, tuple[LaunchRecord, list[RecordedRun]]] = {}
    for recorded in runs:
        _, group = by_record.setdefault(id(recorded.record), (recorded.record, []))
        group.append(recorded)
    for record, group in by_record.values():
        journal = Journal.resume(record)
        try:
            journal.write(events(group))
            part = packed(journal.name, journal.start, journal.written(journal.start))
        finally:
            journal.close()
        remote = record.launch.remote
        with suppress(RemoteError):
            for _ in connect(remote).ask(AppendRecord(remote.runs, part)):
                pass
