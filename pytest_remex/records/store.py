"""Launch records, written: append-only, and on the disk before what they announce is done."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pytest_remex.errors import RecordError
from pytest_remex.io import unwritable, writing
from pytest_remex.records.schema import FORMAT, Launch, LaunchRecord, RunRecord, Stage, record_path


class Journal:
    """A launch record, open for appending. Raises `RecordError` where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fault: RecordError | None = None
        self._file = path.open("ab")

    @classmethod
    def begin(cls, folder: Path, launch: Launch) -> Journal:
        """Begin a launch record; raises `FileExistsError` where another launch has the name."""
        path = record_path(folder, launch.id)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        _create(path)
        journal = cls(path)
        journal.write([_head(launch)])
        journal.sync()
        return journal

    @classmethod
    def resume(cls, record: LaunchRecord) -> Journal:
        """Go on with a launch record; a last line that a crash cut short is dropped."""
        with writing(_named(record.path)):
            whole = record.path.read_bytes()
            os.truncate(record.path, whole.rfind(b"\n") + 1)
            return cls(record.path)

    def write(self, events: Iterable[Mapping[str, object]]) -> None:
        """Append events; they outlive this process."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        lines = [json.dumps({"time": now, **event}, ensure_ascii=False) for event in events]
        if lines:
            with self._writing():
                self._file.write(("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"))
                self._file.flush()

    def sync(self) -> None:
        """Wait until all that was written is on the disk, to outlive this machine's power too."""
        with self._writing():
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close the file; one that could not be written has been told of before."""
        if self._fault is None:
            self.sync()
            self._file.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write no more after a line that may be half written: `resume` drops that."""
        if self._fault is not None:
            raise self._fault
        try:
            yield
        except OSError as error:
            with suppress(OSError):
                self._file.close()
            self._fault = RecordError(unwritable(_named(self.path), error))
            raise self._fault from error


def committed(entry: RunRecord) -> dict[str, object]:
    """Give the event that introduces a run."""
    return {
        "state": Stage.COMMITTED,
        "commit": entry.commit.sha,
        "tree": entry.commit.tree,
        "node": entry.node,
        "id": entry.id,
        "point": entry.point,
        "parameters": entry.parameters,
        "directory": entry.directory,
        "header": entry.header,
    }


def staged(commit: str, stage: Stage, **facts: object) -> dict[str, object]:
    """Give the event that a run has reached a stage; `job` and `why` may come with it."""
    return {"state": stage, "commit": commit, **facts}


def ended(commit: str, job: Mapping[str, object]) -> dict[str, object]:
    """Give the event that a job's final state was seen."""
    return {"state": "ENDED", "commit": commit, "final": dict(job)}


def renamed(entry: RunRecord) -> dict[str, object]:
    """Give the event that a run is known by another node id or point from now on."""
    return {
        "state": "RENAMED",
        "commit": entry.commit.sha,
        "node": entry.node,
        "id": entry.id,
        "point": entry.point,
        "parameters": entry.parameters,
    }


def pushing(tip: str) -> dict[str, object]:
    """Give the event that `tip` is about to be pushed to the temporary branch."""
    return {"state": "PUSHING", "tip": tip}


def tidied() -> dict[str, object]:
    """Give the event that the temporary branch is gone from everywhere."""
    return {"state": "TIDIED"}


def _head(launch: Launch) -> dict[str, object]:
    remote = launch.remote
    return {
        "remex": FORMAT,
        "launch": launch.id,
        "token": launch.token,
        "sweep": launch.name,
        "branch": launch.branch,
        "base": launch.base,
        "base_config": launch.base_config,
        "fetch": launch.fetch,
        "config_file": launch.config_file,
        "remote": {
            "host": remote.host,
            "clone": remote.clone,
            "runs": remote.runs,
            "via": remote.via,
            "shared": remote.shared,
        },
    }


def _named(path: Path) -> str:
    return f"the launch record {path}"


def _create(path: Path) -> None:
    try:
        path.open("xb").close()
        _sync_folder(path.parent)
    except FileExistsError:
        raise
    except OSError as error:
        raise RecordError(unwritable(_named(path), error)) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
