"""Copies of the launch records in a runs folder: what other output folders have launched.

They are kept in `remex-output/from-cluster/<digest of the remote>/`, those of other users in
subfolders. Their content is checked and bounded, because anyone who can write into the runs folder
may have written it. A run is reached through the remote that its copy was read from, and no command
from a copy is executed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pytest_remex.common.records import RecordPart
from pytest_remex.errors import RecordError, SweepError
from pytest_remex.io import prepare_output_folder, reading, writing
from pytest_remex.model import Remote
from pytest_remex.records.launch import FORMAT, launch_from_json
from pytest_remex.records.schema import RunRecord
from pytest_remex.records.store import (
    ADDED,
    LaunchRecord,
    is_addition,
    merged,
    read_record,
    read_records,
    record_files,
    record_path,
)

FOLDER = "from-cluster"
OWNER = "of-"
"""Prefix of the folder with another user's records."""
LARGEST = 256 << 20
"""The most bytes that a copy may have."""
_NAME = re.compile(r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]{0,199}(~[0-9a-f]{8})?")
_OWNER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_HEX = re.compile(r"[0-9a-f]{8,64}")
_FILE = re.compile(r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]{0,254}")
_JOB = re.compile(r"(\d+(_\d+)?(;[A-Za-z0-9._-]+)?)?")


class Copies(NamedTuple):
    """The copies of a remote's launch records; `launches` is the folder of our own records."""

    launches: Path
    remote: Remote

    @property
    def folder(self) -> Path:
        """The folder that holds the copies."""
        place = f"{self.remote.host}\n{self.remote.runs}"
        digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return self.launches.parent / FOLDER / digest

    def known(self) -> dict[str, int]:
        """Return how many bytes of each record this machine has, as a copy or as its own.

        A last line that a crash cut short does not count.
        """
        copies = {path.stem: _size(path) for path in self._files()}
        own = {path.stem: _size(path) for path in self._own() if path.stem not in copies}
        return copies | own

    def is_own(self, name: str) -> bool:
        """Return whether a record is this output folder's own, without a copy that says more."""
        return record_path(self.launches, name).exists() and name not in {
            path.stem for path in self._files()
        }

    def take(self, part: RecordPart) -> None:
        """Store a part of a record. Raises `RecordError` if it is invalid or cannot be written."""
        if not _NAME.fullmatch(part.record) or (part.owner and not _OWNER.fullmatch(part.owner)):
            raise RecordError(f"the runs folder has an invalid launch record {part.record!r:.100}")
        data = _unpacked(part)
        folder = self.folder / f"{OWNER}{part.owner}" if part.owner else self.folder
        path = record_path(folder, part.record)
        prepare_output_folder(self.launches.parent)
        with writing(path):
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("r+b" if path.exists() else "wb") as file:
                file.seek(part.offset)
                file.write(data)

    def part(self, name: str, start: int) -> RecordPart:
        """Return a record's complete lines from byte `start` on, for the runs folder."""
        found = [path for path in self._files() if path.stem == name]
        path = found[0] if found else record_path(self.launches, name)
        with reading(path), path.open("rb") as file:
            file.seek(start)
            data = file.read()
        return packed(name, start, data[: data.rfind(b"\n") + 1])

    def read(self) -> tuple[list[LaunchRecord], list[str]]:
        """Return the records of all copies, and why some of them cannot be used.

        Raises:
            RecordError: A copy has a newer format.

        """
        return _read(self.folder, self.launches, self.remote)

    def _files(self) -> list[Path]:
        return _files(self.folder)

    def _own(self) -> Iterator[Path]:
        """Return the output folder's own records of this remote."""
        for path in record_files(self.launches):
            with reading(path), path.open("rb") as file:
                head = file.readline()
            try:
                there = launch_from_json(json.loads(head)).remote
            except (ValueError, RecursionError, SweepError):
                continue  # a crash left no first line; other damage is reported when it is read
            if (there.host, there.runs) == (self.remote.host, self.remote.runs):
                yield path


def read_all(launches: Path) -> list[LaunchRecord]:
    """Return our own records, and the copies of all remotes': for reading, not for reaching runs.

    Raises:
        RecordError: A record has a newer format, or one of our own is damaged.

    """
    folders = sorted((launches.parent / FOLDER).glob("*/"))
    copies = [record for folder in folders for record in _read(folder, launches, None)[0]]
    return merged([*read_records(launches), *copies])


def additions_besides(launches: Path, known: Iterable[LaunchRecord]) -> list[LaunchRecord]:
    """Return the additions in a folder of launch records that are not known yet."""
    paths = {record.path for record in known}
    new = [path for path in record_files(launches) if is_addition(path) and path not in paths]
    return [record for path in new if (record := read_record(path)) is not None]


def packed(name: str, start: int, data: bytes) -> RecordPart:
    """Return a part of a record, encoded for the connection; an empty one for no bytes."""
    if not data:
        return RecordPart()
    return RecordPart(name, start, base64.b64encode(zlib.compress(data, 6)).decode("ascii"))


def _files(folder: Path) -> list[Path]:
    folders = [folder, *sorted(folder.glob(f"{OWNER}*"))]
    return [path for each in folders for path in record_files(each)]


def _read(
    folder: Path, launches: Path, remote: Remote | None
) -> tuple[list[LaunchRecord], list[str]]:
    records: list[LaunchRecord] = []
    faults: list[str] = []
    for path in _files(folder):
        try:
            record = read_record(path) if path.stat().st_size <= LARGEST else None
            if record is not None:
                check_names(record)
                records.append(_taken(record, folder, launches, remote))
        except RecordError as error:
            if _is_newer(path):
                raise
            faults.append(f"a launch record in the runs folder was ignored: {error}")
    return records, faults


def _taken(
    record: LaunchRecord, folder: Path, launches: Path, remote: Remote | None
) -> LaunchRecord:
    above = record.path.parent
    return record._replace(
        launch=record.launch._replace(remote=remote or record.launch.remote),
        runs={sha: run._replace(command="") for sha, run in record.runs.items()},
        own=False,
        home=launches,
        owner=above.name.removeprefix(OWNER) if above != folder else "",
    )


def check_names(record: LaunchRecord) -> None:
    """Raise `RecordError` for a record with a name that pytest-remex would never write."""
    launch, path = record.launch, record.path
    names = [(_FILE, launch.id), (_HEX, launch.token), (_HEX, launch.base)]
    names += [each for run in record.runs.values() for each in _names(run)]
    wrong = [text for kind, text in names if not kind.fullmatch(text)]
    about = launch.by + launch.variant.texts
    if path.stem.partition(ADDED)[0] != launch.id or not about.isprintable():
        wrong.append(launch.id)
    for run in record.runs.values():
        shown = [run.node, run.id, run.taken, run.sweep, *(each.node for each in run.aliases)]
        shown += [variant.texts for variant in run.variants]
        wrong += [text for text in shown if not text.isprintable()]
        wrong += [line for line in run.header.lines if not line.startswith("#SBATCH")]
    if wrong:
        raise RecordError(f"{path} has an invalid value: {wrong[0]!r:.100}")


def _unpacked(part: RecordPart) -> bytes:
    unpack = zlib.decompressobj()
    try:
        data = unpack.decompress(base64.b64decode(part.data), LARGEST)
    except (ValueError, zlib.error) as error:
        raise RecordError(f"a part of the launch record {part.record} is damaged") from error
    if unpack.unconsumed_tail or part.offset > LARGEST:
        raise RecordError(f"the launch record {part.record} is larger than {LARGEST} bytes")
    return data


def _names(run: RunRecord) -> list[tuple[re.Pattern[str], str]]:
    job = run.final.id if run.final else ""
    return [
        (_HEX, run.commit.sha),
        (_HEX, run.commit.tree),
        (_FILE, run.directory),
        (_FILE, run.submission or run.directory),
        (_JOB, run.job),
        (_JOB, job),
    ]


def _size(path: Path) -> int:
    """Return the size of a record's complete lines."""
    with reading(path), path.open("rb") as file:
        end = file.seek(0, 2)
        start = end
        while start > 0:
            start = max(0, start - 4096)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
    return 0


def _is_newer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            version = json.loads(file.readline()).get("remex")
    except (OSError, ValueError, RecursionError, AttributeError):
        return False
    return isinstance(version, int) and version > FORMAT
