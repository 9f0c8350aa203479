"""From which photo a MESA run can go on, and with which command; no I/O but for `restart_of`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.extensions.mesa.joblog import JobLog, photo_name, read_log
from pytest_remex.extensions.mesa.roots import SCRIPT, do_one_stages, scripts, stage_files
from pytest_remex.extensions.mesa.runs import log_files

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_remex.extensions.mesa.chains import EffectiveConfig
    from pytest_remex.model import Run

PHOTOS = "photos"
"""Where MESA puts photos, unless `photo_directory` of star/defaults/controls.defaults says else."""

_PHOTO = re.compile(r"(?:([b12])_)?(x?\d+)")
_CHOOSES = re.compile(r"\bls\s+-\w*t\w*|most_recent")
_SKIPS = re.compile(r"(?:-[fes]|test\s+-[fes])\s+[\"']?\S+\.mod\b")
_DEFAULT = re.compile(r"REMEX_COMMAND:-([^}\n]+)\}")
_SMALLEST = 0.5
"""Of the size of the photo before: photos of one star grow slowly, and half of one was cut off."""


class RunFile(NamedTuple):
    """A file of the run directory: its path there, its size in bytes, its time of change in s."""

    path: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Restart:
    """How a run goes on."""

    command: tuple[str, ...]
    """What takes the place of `./rn`, as words; empty where the run starts afresh."""
    photo: str
    """The photo, as `./re` takes it, or ""."""
    reason: str
    """A sentence that says why so."""


def photo_folders(config: EffectiveConfig | None) -> list[str]:
    """Return the folders of a run directory that hold photos.

    Args:
        config: The run's effective config: `photo_directory` counts in each group that has it.

    Returns:
        Paths relative to the run directory; `photos` unless the config says otherwise.
    """
    groups = config.given.values() if config else ()
    found = [
        str(names["photo_directory"][-1].value) for names in groups if "photo_directory" in names
    ]
    return list(dict.fromkeys(name.rstrip("/") for name in found if name)) or [PHOTOS]


def find_restart(
    files: Collection[RunFile] | None,
    texts: Mapping[str, str],
    log: JobLog | None = None,
    folders: Sequence[str] = (PHOTOS,),
) -> Restart:
    """Decide how a run goes on, from its run directory and the job's output.

    A photo of a binary is complete with its three files (two where the other star is a point mass,
    as the job's output or other photos tell). Sources: star/work/re,
    binary/private/binary_photos.f90 and star/test_suite/test_suite_helpers of MESA.

    Args:
        files: The files of the run directory's photo folders and top folder; None where they could
            not be listed, and only the job's output tells.
        texts: The scripts of the work directory, `re` and `re_all` among them, by name; where
            there are none, `re` is taken to be MESA's.
        log: What the job's output says.
        folders: The photo folders: see `photo_folders`.

    Returns:
        The command, such as `./re x100`, or none, with the reason.

    Example:
        >>> find_restart([RunFile("photos/x100", 900, 1e9)], {"re": "..."}).command
        ('./re', 'x100')
    """
    log = log or JobLog()
    if texts and "re" not in texts:
        return _afresh("the work directory has no `re`: add MESA's")
    photo = log.photo if files is None else newest_photo(files, log, folders)
    if not photo:
        if files is None and _CHOOSES.search(texts.get("re", "")):
            return Restart(("./re",), "", "./re chooses the newest photo itself")
        return _afresh(f"there is no complete photo in {' or '.join(folders)}")
    if texts and (problem := _wrong_folder(texts["re"], folders)):
        return _afresh(problem)
    return _staged(photo, files or (), texts, folders) or Restart(
        ("./re", photo), photo, f"it goes on from photo {photo}"
    )


def newest_photo(files: Collection[RunFile], log: JobLog, folders: Sequence[str]) -> str:
    """Return the newest photo of which all files are there and whole, as `./re` takes it, or ""."""
    photos: dict[str, dict[str, RunFile]] = {}
    broken: set[str] = set()
    sizes: dict[str, int] = {}
    for file in sorted(files, key=lambda file: (file.modified, file.path)):
        folder, _, name = file.path.rpartition("/")
        match = _PHOTO.fullmatch(name)
        if not match or folder not in folders:
            continue
        star = match[1] or ""
        if name not in log.saved and file.size < _SMALLEST * sizes.get(star, 0):
            broken.add(match[2])
            continue
        sizes[star] = file.size
        photos.setdefault(match[2], {})[star] = file
    needed = _needed(photos)
    whole = {
        name: max(file.modified for file in stars.values())
        for name, stars in photos.items()
        if name not in broken and _is_whole(name, stars, needed, log)
    }
    return max(whole, key=lambda name: (whole[name], name), default="")


def restart_of(run: Run) -> Restart:
    """Decide how a run goes on from what was fetched of it: photos, or else the job's output."""
    here = run.path / PHOTOS
    listed = [_run_file(path, f"{PHOTOS}/{path.name}") for path in _files(here)]
    tops = [_run_file(path, path.name) for path in _files(run.path)]
    texts = work_scripts(run.path)
    log = read_log(log_files(run.output, run.path))
    return find_restart([*listed, *tops] if listed else None, texts if "re" in texts else {}, log)


def work_scripts(folder: Path) -> dict[str, str]:
    """Return the scripts of a work directory by name: those that run, and those that restart."""
    return scripts(folder) | scripts(folder, ["re", "re_all"])


def _afresh(reason: str) -> Restart:
    return Restart((), "", f"it starts afresh: {reason}")


def _needed(photos: Mapping[str, Collection[str]]) -> set[str]:
    """Return the marks of the files that make a photo: "" for a star; b, 1 and 2 for a binary.

    A star that no photo of several has is a point mass, of which MESA writes none.
    """
    seen = {star for stars in photos.values() for star in stars}
    if "b" not in seen:
        return {""}
    return {"b", "1", "2"} if len(photos) == 1 else seen - {""}


def _is_whole(name: str, stars: Collection[str], needed: set[str], log: JobLog) -> bool:
    """Whether all files of a photo are there: those that the output says were saved, or all."""
    saved = {file[0] if photo_name(file) != file else "" for file in log.saved}
    if saved and photo_name(log.saved[0]) == name:
        needed = saved
    return needed <= set(stars)


def _wrong_folder(text: str, folders: Sequence[str]) -> str:
    if "photo_dir" not in text or any(folder in text for folder in folders):
        return ""
    return f"`re` does not look in {' or '.join(folders)}: set its photo_directory to that"


def _staged(
    photo: str, files: Collection[RunFile], texts: Mapping[str, str], folders: Sequence[str]
) -> Restart | None:
    """Decide for a run of several stages; None for one that `./re` finishes."""
    running = {name: text for name, text in texts.items() if name not in ("re", "re_all")}
    stages = do_one_stages(running.values())
    if len(stages) < 2 and len(stage_files(running.values())[0]) < 2:  # noqa: PLR2004 - several
        return None
    if "re_all" in texts:
        return Restart(("./re_all", photo), photo, f"./re_all goes on from photo {photo}")
    if any(_SKIPS.search(text) for text in running.values()):
        said = "the script runs again in the same directory and skips stages whose model is there"
        return Restart(_usual_command(running), "", said)
    tops = {file.path: file for file in files if "/" not in file.path}
    done = [stage.model for stage in stages if stage.model in tops]
    last = tops[done[-1]].modified if done else 0.0
    if stages and len(done) == len(stages) - 1 and _time_of(photo, files, folders) > last:
        return None
    where = f" in stage {len(done) + 1} of {len(stages)}" if stages else ""
    return _afresh(
        f"it has stages, and `./re {photo}` would go on{where} without the later ones: add a "
        f"script re_all that takes a photo and runs the rest"
    )


def _usual_command(texts: Mapping[str, str]) -> tuple[str, ...]:
    """Return what run.sbatch runs without a restart: the default of $REMEX_COMMAND."""
    found = _DEFAULT.search(texts.get(SCRIPT, ""))
    return tuple(found[1].split()) if found else ("./rn",)


def _time_of(photo: str, files: Collection[RunFile], folders: Sequence[str]) -> float:
    return max(
        file.modified
        for file in files
        if file.path.rpartition("/")[0] in folders and photo_name(file.path) == photo
    )


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _run_file(path: Path, name: str) -> RunFile:
    known = path.stat()
    return RunFile(name, known.st_size, known.st_mtime)
