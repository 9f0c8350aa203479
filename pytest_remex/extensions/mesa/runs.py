"""What a MESA run's outputs say, as columns of the results: why it ended, photos and models."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections import deque
from typing import TYPE_CHECKING

from pytest_remex.extensions.mesa.job_log import PHOTO, PHOTOS, JobLog, photo_name, read_log
from pytest_remex.extensions.mesa.layout import is_packed, open_table, read_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO


VERSION = 3
"""The version of `measures`; it is part of the key, so that a newer version reads again."""

_HISTORY = tuple(
    f"{name}{suffix}"
    for name in ("LOGS/history.data", "history.data", "LOGS*/history.data", "*/history.data",
                 "**/*history*.data", "**/*history*.txt")
    for suffix in ("", ".gz")
)  # fmt: skip
"""Where a history is looked for: MESA's names first, then names that inlists often set."""
_TAIL = 1 << 18
_LARGE = 1 << 20
_MODEL = "model_number"


def measures(logs: Sequence[Path], folder: Path) -> dict[str, str | int]:
    """Return the columns that a MESA run adds to the results; none if another program ran.

    Args:
        logs: The files with MESA's output, which are read as streams: see `log_files`.
        folder: The run's outputs.

    Returns:
        `termination_code`, `terminated_evolution` and `crash`, which say why it ended;
        `last_photo`, as `./re` names it; `photos`, how many photo files are among the outputs;
        `min_model` and `max_model`, the first and last model number of the history;
        `mesa_version` from its header.
    """
    log = read_log(logs)
    found: dict[str, str | int] = {**log.endings}
    here = photos(folder)
    if last := last_photo(log, here):
        found["last_photo"] = last
    if here:
        found["photos"] = len(here)
    history = find_history(folder)
    return found | (_history_facts(history) if history else {})


def are_large(logs: Iterable[Path]) -> bool:
    """Return whether `measures` takes longer to read the logs than to look up what was cached."""
    return sum(path.stat().st_size for path in logs) > _LARGE


def measures_keys(logs: Sequence[Path], folder: Path) -> tuple[str, str]:
    """Return where to cache the measures, and a key that changes when they may.

    Returns:
        Two texts of hex digits. The first is a hash of the run's path; the second, of the path,
        size and modification time of each file that `measures` reads.
    """
    read = [*logs, *(folder / PHOTOS / name for name in photos(folder))]
    history = find_history(folder)
    state = [str(VERSION)]
    for path in [*read, *([history] if history else [])]:
        known = path.stat()
        state.append(f"{path} {known.st_size} {known.st_mtime_ns}")
    return _digest([str(folder.absolute())]), _digest(state)


def _digest(state: list[str]) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:40]


def last_photo(log: JobLog, here: Sequence[str]) -> str | None:
    """Return the last photo of a run as `./re` names it, from its output, else from the files here.

    A binary's three files have one name.
    """
    return log.photo or (photo_name(here[-1]) if here else None)


def photos(folder: Path) -> list[str]:
    """Return the photo files in the folder `photos` of a run's outputs, the newest last."""
    here = folder / PHOTOS
    found = [path for path in here.iterdir() if path.is_file()] if here.is_dir() else []
    photo_files = [path for path in found if PHOTO.fullmatch(path.name)]
    times = {path: path.stat().st_mtime for path in photo_files}
    return [path.name for path in sorted(photo_files, key=lambda path: (times[path], path.name))]


def find_history(folder: Path) -> Path | None:
    """Find the history among a run's outputs; None if there is none, or it is a link."""
    found = (
        path
        for pattern in _HISTORY
        for path in (sorted(folder.glob(pattern)) if "*" in pattern else [folder / pattern])
    )
    return next((path for path in found if path.is_file() and not path.is_symlink()), None)


def as_scalars(kept: object, key: str) -> dict[str, str | int] | None:
    """Return measures that were cached as JSON with this key; None for anything else."""
    found = kept.get("found") if isinstance(kept, dict) and kept.get("key") == key else None
    if not isinstance(found, dict):
        return None
    return {str(name): one for name, one in found.items() if isinstance(one, str | int)}


def _history_facts(path: Path) -> dict[str, str | int]:
    try:
        with open_table(path) as file:
            header = read_header(file)
            if header is None:
                return {}
            found: dict[str, str | int] = {}
            about = header.values()
            if "version_number" in about:
                found["mesa_version"] = about["version_number"].strip("'\"")
            if _MODEL in header.columns:
                place, width = header.columns.index(_MODEL), len(header.columns)
                first = next(_models(file, place, width), None)
                if not is_packed(path):  # a gzipped file is read from start to end
                    _go_to_tail(file)
                last = deque(_models(file, place, width), maxlen=1)
                if first is not None:
                    found |= {"min_model": first, "max_model": last[0] if last else first}
    except (OSError, EOFError, zlib.error):
        return {}
    return found


def _go_to_tail(file: BinaryIO) -> None:
    """Seek to the first whole row in a plain file's last 256 kB, but never backwards."""
    start = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(max(start, end - _TAIL))
    if file.tell() > start:
        file.readline()


def _models(file: BinaryIO, place: int, width: int) -> Iterator[int]:
    """Yield the model numbers of whole rows, from the file's position."""
    for line in file:
        words = line.split()
        if line.endswith(b"\n") and len(words) == width and words[place].isdigit():
            yield int(words[place])
