"""Exchanges launch records with a runs folder, which is the memory of all its clients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_remex.common.records import (
    AppendRecord,
    ReadRecords,
    RecordLacking,
    RecordPart,
    RecordRefused,
)
from pytest_remex.records.copies import Copies
from pytest_remex.transport import Connection


def sync(connection: Connection, launches: Path) -> Mapping[str, int]:
    """Copy the records that are not here, and put back into the runs folder what it lacks.

    Args:
        connection: The connection to the remote.
        launches: The output folder's launch records.

    Returns:
        The bytes of each record that both have now, by its name.

    Raises:
        RemoteError: The remote cannot be asked.
        RecordError: A copy cannot be written.

    """
    copies = Copies(launches, connection.remote)
    known = copies.known()
    elsewhere, lacking = _read(connection, copies, known)
    for missing in lacking:
        part = copies.part(missing.record, missing.size)
        for event in connection.ask(AppendRecord(connection.remote.runs, part)):
            if isinstance(event, RecordRefused):
                elsewhere.append(missing.record)
    if elsewhere:  # another folder goes on with what was copied or restored: that is its record now
        _read(connection, copies, copies.known() | dict.fromkeys(elsewhere, 0), take_all=True)
    return copies.known()


def _read(
    connection: Connection, copies: Copies, known: Mapping[str, int], *, take_all: bool = False
) -> tuple[list[str], list[RecordLacking]]:
    """Take what is new; return own records that the runs folder has more of, and what it lacks."""
    elsewhere: list[str] = []
    lacking: list[RecordLacking] = []
    for event in connection.ask(ReadRecords(connection.remote.runs, dict(known))):
        if isinstance(event, RecordLacking):
            lacking.append(event)
        elif isinstance(event, RecordPart):
            if not take_all and copies.is_own(event.record):
                elsewhere.append(event.record)
            else:
                copies.take(event)
    return elsewhere, lacking
