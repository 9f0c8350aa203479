"""Append to launch records.

An event is written before the action that it announces, so that after a crash at any point the
record says how far the launch may have got.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pytest_remex.errors import RecordError
from pytest_remex.io import AGAIN, sync_folder, unwritable, writing
from pytest_remex.records.fields import Json, encoded
from pytest_remex.records.launch import Launch, launch_to_json
from pytest_remex.records.schema import Event, event_to_json
from pytest_remex.records.store import ADDED, LaunchRecord, record_path, worker_of

_WRITER = re.compile(r"[0-9a-f]{8}")


class Journal:
    """A launch record, open for appending. Raises `RecordError` if it cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fault: RecordError | None = None
        self._file = path.open("ab")
        self.start = self._file.tell()
        """The bytes that were there before this object wrote."""

    @classmethod
    def begin(cls, folder: Path, launch: Launch, name: str | None = None) -> Journal:
        """Create a launch record; raises `FileExistsError` if another launch has the name.

        `name` is the name of an addition to the record; None for the record itself.
        """
        path = record_path(folder, name or launch.id)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        _create(path)
        journal = cls(path)
        journal._append([launch_to_json(launch)])
        journal.sync()
        return journal

    @classmethod
    def resume(cls, record: LaunchRecord) -> Journal:
        """Continue a launch record, or create an addition to another output folder's record.

        A last line that a crash cut short is dropped.
        """
        path = record.path
        if not record.own:
            home = record.home or record.path.parent
            name = f"{record.launch.id}{ADDED}{_writer(home)}"
            path = record_path(home, name)
            with suppress(FileExistsError):
                return cls.begin(home, record.launch, name)
        with writing(_title(path)):
            whole = path.read_bytes()
            os.truncate(path, whole.rfind(b"\n") + 1)
            return cls(path)

    @property
    def name(self) -> str:
        """The record's name, which its copy in the runs folder has too."""
        return self.path.stem

    @property
    def worker(self) -> str:
        """The launch's id; for an addition, a name that is this output folder's own."""
        return worker_of(self.path)

    def written(self, start: int) -> bytes:
        """Return the bytes written from offset `start` on."""
        with self._writing(), self.path.open("rb") as file:
            file.seek(start)
            return file.read()

    def discard(self) -> None:
        """Remove a record that has no events yet."""
        with writing(_title(self.path)):
            self._file.close()
            self.path.unlink()

    def write(self, events: Iterable[Event]) -> None:
        """Append events; they survive a crash of this process."""
        self._append(map(event_to_json, events))

    def sync(self) -> None:
        """Flush everything to the disk, so that it survives a power cut too."""
        with self._writing():
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close the file; if writing it has failed already, close it as it is."""
        try:
            if self._fault is None:
                self.sync()
        finally:
            with suppress(OSError):
                self._file.close()

    def _append(self, objects: Iterable[Json]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        lines = b"".join(encoded({"time": now, **each}) for each in objects)
        if lines:
            with self._writing():
                self._file.write(lines)
                self._file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Stop writing after a failure: the last line may be incomplete, and `resume` drops it."""
        if self._fault is not None:
            raise self._fault
        try:
            yield
        except OSError as error:
            with suppress(OSError):
                self._file.close()
            self._fault = RecordError(unwritable(_title(self.path), error))
            raise self._fault from error


def _writer(home: Path) -> str:
    """Return the id of this output folder in the names of its additions; create it if needed."""
    path = home / ".writer"
    with writing(path):
        home.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            draft = home / f".writer.{os.getpid()}"
            draft.write_text(secrets.token_hex(4), "ascii")
            try:
                os.link(draft, path)
            except FileExistsError:
                pass
            except OSError:  # a file system without hard links
                draft.rename(path)
            draft.unlink(missing_ok=True)
        digits = path.read_text("ascii", "replace")
    if not _WRITER.fullmatch(digits):
        raise RecordError(f"{path} is damaged: remove it, and {AGAIN}")
    return digits


def _title(path: Path) -> str:
    return f"the launch record {path}"


def _create(path: Path) -> None:
    try:
        path.open("xb").close()
        sync_folder(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise RecordError(unwritable(_title(path), error)) from error
