"""Decide from which photo a MESA run continues, and with which command."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.common.paths import leads_out
from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.chains import follow, star_inlists
from pytest_remex.extensions.mesa.job_log import (
    PHOTO,
    PHOTOS,
    JobLog,
    log_files_of,
    photo_name,
    read_log,
)
from pytest_remex.extensions.mesa.roots import do_one_stages, find_roots, scripts, stage_files
from pytest_remex.hookspecs import ContinueProbe, RunFile

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_remex.experiment import Experiment, Run
    from pytest_remex.extensions.mesa.chains import EffectiveConfig

_CHOOSES = re.compile(r"\bls\s+-\w*t\w*|most_recent")
_SKIPS = re.compile(r"(?:-[fes]|test\s+-[fes])\s+[\"']?\S+\.mod\b")
_DEFAULT = re.compile(r"REMEX_COMMAND:-([^}\n]+)\}")
_SMALLEST = 0.5
"""The least size relative to the photo before: photos grow slowly; a much smaller is cut off."""
_SMALLEST_NEWEST = 0.9
"""The same for the newest photo, which a kill may have cut off; the one before costs little."""
_LOOKS = re.compile(r"\bphoto_dir\w*=[\"']?(?:\./)?([\w.][^\s\"';$]*)")
_BOTH = ("1", "2")
_COMMAND = b"REMEX_COMMAND"
_LONGEST = 1 << 16
"""Bytes of a file of the checkout to read."""
_RESTARTING = ("re", "re_all")
_NOT_TAKEN = (
    "nothing in the work directory runs $REMEX_COMMAND: end its batch script with "
    "${REMEX_COMMAND:-./rn}"
)
_ADD_RE_ALL = "add a script re_all that takes a photo and runs the rest"
_MODELS = "*.mod"


class Restart(NamedTuple):
    """How a run continues.

    Args:
        command: The words of the command to run instead of `./rn`; empty if the run starts over.
        photo: The photo, as `./re` names it; empty if there is none, or `./re` chooses it itself.
        reason: Why, in a clause.

    """

    command: tuple[str, ...]
    photo: str
    reason: str


def photo_folders(config: EffectiveConfig | None) -> list[str]:
    """Return the folders of a run directory that hold photos.

    Args:
        config: The run's effective config; each group may have its `photo_directory`.

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
    stars: Collection[str] = _BOTH,
) -> Restart:
    """Decide how a run continues, from its run directory and the job's output.

    A photo of a binary has three files; two if the other star is a point mass, which the job's
    output or other photos show. Sources: star/work/re, binary/private/binary_photos.f90 and
    star/test_suite/test_suite_helpers of MESA.

    Args:
        files: The files in the run directory's photo folders and top folder; None if they could
            not be listed: then only the job's output is used.
        texts: The scripts of the work directory by name, also `re` and `re_all`; if there are
            none, `re` is assumed to be MESA's.
        log: The facts in the job's output.
        folders: The photo folders: see `photo_folders`.
        stars: Which stars of a binary MESA evolves, "1" or "2": the other is a point mass.

    Returns:
        The command, such as `./re x100`, or none, with the reason.

    Example:
        >>> find_restart([RunFile("photos/x100", 900, 1e9)], {"re": "..."}).command
        ('./re', 'x100')
    """
    log = log or JobLog()
    if texts and "re" not in texts:
        return _afresh("the work directory has no `re`: add MESA's")
    looks = _looks_elsewhere(texts.get("re", ""), folders)
    everywhere = [*folders, looks] if looks else folders
    photo = log.photo if files is None else newest_photo(files, log, everywhere, stars)
    if not photo:
        if files is None and _CHOOSES.search(texts.get("re", "")):
            return Restart(("./re",), "", "./re chooses the newest photo itself")
        return _afresh(f"there is no complete photo in {' or '.join(folders)}")
    name = _as_re_takes_it(photo, files or (), looks) if looks else photo
    if not name:
        return _afresh(
            f"{_wrong_folder(looks, folders)}: `cp -rp {folders[0]} {looks}` in the run directory "
            f"lets it continue from {photo}"
        )
    return _staged(name, files or (), texts, everywhere) or Restart(
        ("./re", name), photo, "from its newest complete photo"
    )


def obstacle(work: WorkDirectory) -> str:
    """Return why runs of a work directory could never continue from a photo; "" if they can.

    Runs without a script `re` are not meant to.
    """
    if "re" not in work.texts:
        return ""
    if not work.takes_command:
        return _NOT_TAKEN
    if work.shared:
        return _shared(work.shared)
    if looks := _looks_elsewhere(work.texts["re"], work.folders):
        return f"{_wrong_folder(looks, work.folders)}: set its photo_directory to that"
    running = work.running
    several = len(do_one_stages(running.values())) > 1 or len(stage_files(running.values())[0]) > 1
    if several and "re_all" not in work.texts and not _skips(running):
        return f"it has stages, and `./re` continues only one of them: {_ADD_RE_ALL}"
    return ""


def newest_photo(
    files: Collection[RunFile], log: JobLog, folders: Sequence[str], stars: Collection[str]
) -> str:
    """Return the newest complete photo, as `./re` names it; "" if there is none."""
    photos: dict[str, dict[str, RunFile]] = {}
    broken: set[str] = set()
    sizes: dict[str, int] = {}
    found = [
        (file, match)
        for file in sorted(files, key=lambda file: (file.modified, file.path))
        if file.path.rpartition("/")[0] in folders
        and (match := PHOTO.fullmatch(file.path.rpartition("/")[2]))
    ]
    newest = found[-1][1][2] if found else ""
    for file, match in found:
        star = match[1] or ""
        smallest = _SMALLEST_NEWEST if match[2] == newest else _SMALLEST
        if match[0] not in log.saved and file.size < smallest * sizes.get(star, 0):
            broken.add(match[2])
            continue
        sizes[star] = file.size
        photos.setdefault(match[2], {})[star] = file
    needed = _needed(photos, stars)
    whole = {
        name: max(file.modified for file in of_star.values())
        for name, of_star in photos.items()
        if name not in broken and _is_whole(name, of_star, needed, log)
    }
    return max(whole, key=lambda name: (whole[name], name), default="")


def probe_of(experiment: Experiment) -> ContinueProbe | None:
    """Return which files of a MESA run to list; None if another program runs.

    Its memo is the `WorkDirectory`.
    """
    work = WorkDirectory.read(experiment)
    if work is None:
        return None
    return ContinueProbe((*(f"{folder}/*" for folder in work.listed), _MODELS), work)


def restart_of(run: Run, files: Sequence[RunFile] | None, memo: object) -> Restart | None:
    """Decide how a run continues, from the listed files and from its output if that was fetched.

    Args:
        run: The run.
        files: The listed files; None if there is only the output.
        memo: Its `WorkDirectory`; anything else if another program runs.

    Returns:
        The command and the reason; None if neither files nor output are from MESA.
    """
    log = read_log(log_files_of(run))
    if not isinstance(memo, WorkDirectory):
        return find_restart(None, {}, log) if log.photo else None
    if not memo.takes_command:
        return _afresh(_NOT_TAKEN)
    if memo.shared:
        return _afresh(_shared(memo.shared))
    listed = files is not None and not any(map(leads_out, memo.folders))
    new = [each for each in files or () if not memo.has(each)] if listed else None
    how = find_restart(new, memo.texts, log, memo.folders, memo.stars)
    by_bash = how.command and how.command[0].removeprefix("./") in memo.not_executable
    return how._replace(command=("bash", *how.command)) if by_bash else how


class WorkDirectory(NamedTuple):
    """What the patched checkout of a run says about restarts."""

    texts: Mapping[str, str]
    """Its scripts, by name: those that run, and those that restart."""
    folders: tuple[str, ...]
    """Its photo folders."""
    listed: tuple[str, ...]
    """The photo folders, and the folder where `re` looks, that are in the work directory."""
    shared: str
    """A photo folder that is committed as a link to a place that all runs share; else ""."""
    stars: tuple[str, ...]
    """Which stars of a binary MESA evolves: the other is a point mass, without photos."""
    not_executable: tuple[str, ...]
    """Those scripts for restarts that are not executable."""
    takes_command: bool
    """Whether a file there mentions $REMEX_COMMAND."""
    committed: frozenset[tuple[str, int]]
    """Paths and sizes of photos and models that are committed, so were not made by the run."""

    @classmethod
    def read(cls, experiment: Experiment) -> WorkDirectory | None:
        """Read a checkout; None if it has neither an inlist that MESA starts from nor `re`."""
        top, sweep = experiment.path, experiment.sweep
        roots = find_roots(top, sweep.config_files).paths
        if not roots and not (top / "re").is_file():
            return None
        try:
            config: EffectiveConfig | None = follow(roots, top)[0]
        except NamelistError:
            config = None
        texts = scripts(top, [sweep.script]) | scripts(top, _RESTARTING)
        folders = photo_folders(config)
        looks = _looks_elsewhere(texts.get("re", ""), folders)
        inside = [name for name in (*folders, looks) if name and not leads_out(name)]
        shared = [name for name in inside if not _stays(top / name, top)]
        photos = [path for name in inside if name not in shared for path in _files(top / name)]
        known = [*filter(lambda path: PHOTO.fullmatch(path.name), photos), *top.glob(_MODELS)]
        committed = {(str(path.relative_to(top)), path.stat().st_size) for path in known}
        return cls(
            texts=texts,
            folders=tuple(folders),
            listed=tuple(inside),
            shared=next(iter(shared), ""),
            stars=tuple(star_inlists(config or {})),
            not_executable=tuple(
                name for name in _RESTARTING if name in texts and not os.access(top / name, os.X_OK)
            ),
            takes_command=any(_COMMAND in _head(path) for path in _files(top)),
            committed=frozenset(committed),
        )

    @property
    def running(self) -> dict[str, str]:
        """The scripts that run, by name, each before those that it calls."""
        return _running(self.texts)

    def has(self, file: RunFile) -> bool:
        """Return whether a file of the run directory came with the checkout."""
        return (file.path, file.size) in self.committed


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST)


def _stays(path: Path, top: Path) -> bool:
    """Return whether a path, with the links in it, is in the work directory."""
    return path.resolve().is_relative_to(top.resolve())


def _shared(folder: str) -> str:
    return (
        f"{folder} is committed as a link to a folder that all runs would share: let the job make "
        f"the link, to a folder of its own"
    )


def _afresh(reason: str) -> Restart:
    return Restart((), "", reason)


def _needed(photos: Mapping[str, Collection[str]], stars: Collection[str]) -> set[str]:
    """Return the prefixes of a photo's files: "" for a star; b, 1 and 2 for a binary.

    If there are several photos and none has a file of one star, that star is a point mass.
    """
    seen = {star for stars in photos.values() for star in stars}
    if "b" not in seen:
        return {""}
    return {"b", *stars} if len(photos) == 1 else seen - {""}


def _is_whole(name: str, stars: Collection[str], needed: set[str], log: JobLog) -> bool:
    """Return whether a photo has all files that the output says were saved, else all needed."""
    saved = {file[0] if photo_name(file) != file else "" for file in log.saved}
    if saved and photo_name(log.saved[0]) == name:
        needed = saved
    return needed <= set(stars)


def _looks_elsewhere(text: str, folders: Sequence[str]) -> str:
    """Return the folder where `re` looks for photos if MESA saves them elsewhere; else ""."""
    found = None if any(folder in text for folder in folders) else _LOOKS.search(text)
    return found[1].rstrip("/") if found else ""


def _wrong_folder(looks: str, folders: Sequence[str]) -> str:
    return f"`re` looks for photos in {looks}, not in {' or '.join(folders)}"


def _as_re_takes_it(photo: str, files: Collection[RunFile], looks: str) -> str:
    """Return a photo's path relative to the folder where `re` looks; "" if that does not exist.

    A binary's `re` adds a prefix to the name that it is given.
    """
    if any(each.path.startswith(f"{looks}/") and photo_name(each.path) == photo for each in files):
        return photo
    own = [each.path for each in files if each.path.rpartition("/")[2] == photo]
    there = any(each.path.startswith(f"{looks}/") for each in files)
    return os.path.relpath(own[-1], looks) if own and there else ""


def _staged(
    photo: str, files: Collection[RunFile], texts: Mapping[str, str], folders: Sequence[str]
) -> Restart | None:
    """Decide for a run of several stages; None if `./re` finishes the run."""
    running = _running(texts)
    stages = do_one_stages(running.values())
    if len(stages) < 2 and len(stage_files(running.values())[0]) < 2:  # noqa: PLR2004 - several
        return None
    if "re_all" in texts:
        return Restart(("./re_all", photo), photo, f"./re_all continues from photo {photo}")
    if _skips(running):
        why = "the script runs again in the same directory and skips stages whose model exists"
        return Restart(_usual_command(running), "", why)
    tops = {file.path: file for file in files if "/" not in file.path}
    done = [stage.model for stage in stages if stage.model in tops]
    last = tops[done[-1]].modified if done else 0.0
    if stages and len(done) == len(stages) - 1 and _time_of(photo, files, folders) > last:
        return None
    where = f" in stage {len(done) + 1} of {len(stages)}" if stages else ""
    return _afresh(
        f"it has stages, and `./re {photo}` would continue{where} without the later ones: "
        f"{_ADD_RE_ALL}"
    )


def _running(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if name not in _RESTARTING}


def _skips(texts: Mapping[str, str]) -> bool:
    """Return whether scripts skip stages whose model exists."""
    return any(_SKIPS.search(text) for text in texts.values())


def _usual_command(texts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the batch script's default of $REMEX_COMMAND, which runs without a restart."""
    found = next(filter(None, map(_DEFAULT.search, texts.values())), None)
    return tuple(found[1].split()) if found else ("./rn",)


def _time_of(photo: str, files: Collection[RunFile], folders: Sequence[str]) -> float:
    return max(
        file.modified
        for file in files
        if file.path.rpartition("/")[0] in folders
        and photo_name(file.path) == photo.rpartition("/")[2]
    )


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
