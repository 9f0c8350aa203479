"""Write events about runs into launch records, and into their copies in the runs folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from pytest_remex.common.records import AppendRecord
from pytest_remex.errors import RemoteError
from pytest_remex.model import Remote
from pytest_remex.records.copies import packed
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import Event
from pytest_remex.records.store import Journal, LaunchRecord
from pytest_remex.transport import Connection


def share(
    runs: Iterable[RecordedRun],
    events: Callable[[list[RecordedRun]], Iterable[Event]],
    connect: Callable[[Remote], Connection],
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
