"""Exchange launch records with a runs folder, which all its clients share."""

from __future__ import annotations

from collections.abc import Mapping
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
from pytest_remex.records.copies import Copies
from pytest_remex.transport import Connection


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
