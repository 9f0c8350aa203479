"""The columns that a MESA run adds to the results, and a key that changes when they may."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections import deque
from typing import TYPE_CHECKING

from pytest_remex.extensions.mesa import joblog
from pytest_remex.extensions.mesa.joblog import JobLog
from pytest_remex.extensions.mesa.layout import is_packed, open_table, read_header
from pytest_remex.extensions.mesa.roots import scripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from pytest_remex.experiment import Run

VERSION = 3
"""The version of `measures`; it is part of the key, so that a newer version reads again."""

_PHOTOS = "photos"
_PHOTO = re.compile(r"(?:[b12]_)?x?\d+")
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


def measures(output: str | Path | None, folder: Path) -> dict[str, str | int]:
    """Return the columns that a MESA run adds to the results; none if another program ran.

    Args:
        output: The job's output: its text, or its file, which is read as a stream; None if it
            was not fetched.
        folder: The run's outputs. Files to which its scripts redirect MESA's output are read too.

    Returns:
        `termination_code`, `terminated_evolution` and `crash`, which say why it ended;
        `last_photo`, as `./re` names it; `photos`, how many photo files are among the outputs;
        `min_model` and `max_model`, the first and last model number of the history;
        `mesa_version` from its header.
    """
    log = _log(output, folder)
    found: dict[str, str | int] = {**joblog.columns(log)}
    here = photos(folder)
    if last := last_photo(log, folder):
        found["last_photo"] = last
    if here:
        found["photos"] = len(here)
    history = find_history(folder)
    return found | (_history_facts(history) if history else {})


def has_large_logs(output: Path | None, folder: Path) -> bool:
    """Return whether `measures` takes longer to read the logs than to look up what was cached."""
    return sum(path.stat().st_size for path in log_files(output, folder)) > _LARGE


def measures_keys(output: Path | None, folder: Path) -> tuple[str, str]:
    """Return where to cache the measures, and a key that changes when they may.

    Args:
        output: The job's output, or None.
        folder: The run's outputs.

    Returns:
        Two texts of hex digits. The first is a hash of the run's path; the second, of the path,
        size and modification time of each file that `measures` reads.
    """
    read = [*log_files(output, folder), *(folder / _PHOTOS / name for name in photos(folder))]
    history = find_history(folder)
    state = [str(VERSION)]
    for path in [*read, *([history] if history else [])]:
        known = path.stat()
        state.append(f"{path} {known.st_size} {known.st_mtime_ns}")
    return _digest([str(folder.absolute())]), _digest(state)


def _digest(state: list[str]) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:40]


def stop_allowed(run: Run, allowed: Iterable[str]) -> bool:
    """Return whether a run ended with one of these termination codes.

    Args:
        run: The run that `yield` returned.
        allowed: MESA's termination codes, such as `xa_central_lower_limit`: `termination_code_str`
            in star_data/private/star_data_def.inc of MESA.

    Returns:
        True if the last termination code is one of them; False also if there is none.

    Example:
        >>> def tams(experiment):
        ...     run = yield
        ...     run.record(stop_allowed=stop_allowed(run, ["xa_central_lower_limit", "max_age"]))
    """
    code = joblog.read_log(log_files(run.output, run.path)).termination_code
    return bool(code) and code in set(allowed)


def log_files(output: Path | None, folder: Path) -> list[Path]:
    """Return the files with MESA's output: the job's, and those that scripts redirect to."""
    names = joblog.log_names(scripts(folder))
    found = [path for name in names for path in _named(folder, name)]
    redirected = [path for path in found if path.is_file()]
    inside = _inside(redirected, folder) if redirected else []
    return list(dict.fromkeys([*([output] if output and output.is_file() else []), *inside]))


def _inside(paths: Iterable[Path], folder: Path) -> list[Path]:
    """Return the paths that do not leave a folder by links."""
    top = folder.resolve()
    return [path for path in paths if path.resolve().is_relative_to(top)]


def _named(folder: Path, name: str) -> list[Path]:
    """Return the files of a name, in which `*` matches anything; the newest is last."""
    if "*" not in name:
        return [folder / name]
    found = [path for path in folder.glob(name) if path.is_file()]
    return sorted(found, key=lambda path: path.stat().st_mtime)


def last_photo(log: str | JobLog, folder: Path) -> str | None:
    """Return the last photo of a run, as `./re` names it: a binary's three files have one name.

    Args:
        log: The text of the job's output, or the facts in it.
        folder: The run's outputs; their folder `photos` is searched if the output names none.

    Returns:
        A name such as `x150`, or None.
    """
    known = (joblog.scan([log]) if isinstance(log, str) else log).photo
    here = photos(folder)
    return known or (joblog.photo_name(here[-1]) if here else None)


def photos(folder: Path) -> list[str]:
    """Return the photo files in the folder `photos` of a run's outputs, the newest last."""
    here = folder / _PHOTOS
    found = [path for path in here.iterdir() if path.is_file()] if here.is_dir() else []
    photo_files = [path for path in found if _PHOTO.fullmatch(path.name)]
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


def _log(output: str | Path | None, folder: Path) -> JobLog:
    if isinstance(output, str):
        return joblog.scan([output])
    return joblog.read_log(log_files(output, folder))


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
