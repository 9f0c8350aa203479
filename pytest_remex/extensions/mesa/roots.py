"""Find the inlists that MESA starts from in a work directory: named in scripts, or `inlist`."""

from __future__ import annotations

import re
import warnings
from collections import ChainMap
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_remex.errors import NamelistError
from pytest_remex.known_files import files_now
from pytest_remex.model import SCRIPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_remex.experiment import Experiment
    from pytest_remex.extensions.mesa.chains import EffectiveConfig
    from pytest_remex.known_files import Files
    from pytest_remex.model import Config

ROOT = "inlist"
"""The file that MESA starts from unless MESA_INLIST names another."""

_LONGEST = 1 << 16
"""Bytes of a script to read."""
_CALLED = re.compile(r"(?:\./|\b(?:bash|sh|source)[ \t]+(?:\./)?)([A-Za-z_][\w.-]*)")
_HERE = re.compile(r"^(?:\$PWD/|\$SLURM_SUBMIT_DIR/|\./)+")
_INLIST_VARIABLE = re.compile(r"\bMESA_INLIST=[\"']?([^\s\"';|&]+)")
_WORD = re.compile(r"[\w./*?$-]+")
_LETTER = re.compile(r"[A-Za-z]")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_BRACED = re.compile(r"\$\{(\w+)\}")
_COMMAND_END = re.compile(r"[;&|(){}]+")
_STAGE = re.compile(
    r"(?:.*\s)?(?:do_one\s+(\S+)|(?:cp|mv|ln)(?:\s+-\w+)*\s+(\S+)\s+[\"']?(?:\./)?inlist[\"']?"
    r"|\./(?:star|binary|rn1?)\s+(\S*inlist\S*))(?:\s.*)?"
)
_DO_ONE = re.compile(r"(?:^|\s)do_one\s+(\S+)(?:\s+(\S+))?")
_NAMELISTS = frozenset({".nml", ".namelist"})


class Roots(NamedTuple):
    """The inlists that MESA starts from, in the order of the stages."""

    paths: tuple[Path, ...]
    complete: bool
    """Whether these are all: false if a script names a missing file, or a variable."""


def is_inlist(path: Path) -> bool:
    """Return whether a file is a namelist file, judging by its name."""
    return path.name.startswith(ROOT) or path.suffix in _NAMELISTS


def is_work_directory(experiment: Experiment, changed: Iterable[str], files: Files) -> bool:
    """Return whether a checkout is MESA's: it has an inlist or `re`, or an inlist was `changed`."""
    top = experiment.path
    if any(is_inlist(Path(name)) for name in changed) or files.is_file(f"{top}/re"):
        return True
    return bool(find_roots(top, experiment.sweep.config_files, files).paths)


def named_files(config_file: str | Sequence[str] | None) -> list[str]:
    """Return a sweep's `config_file` as a list: it may be None, one file or several."""
    if config_file is None:
        return []
    return [config_file] if isinstance(config_file, str) else list(config_file)


def find_roots(
    folder: Path, config_file: str | Sequence[str] | None, files: Files | None = None
) -> Roots:
    """Find the inlists that MESA starts from in a work directory, or in a run's outputs.

    They are the inlists of stages (arguments of `do_one`, or files that a script copies or links
    to `inlist`), else the file that MESA_INLIST names, else `inlist`. Config files of the sweep
    that none of these reads are roots too, and the only ones if these read none.
    Source: `MESA_INLIST` in star/job/run_star_support.f90; `do_one` in
    star/test_suite/test_suite_helpers of MESA.

    Args:
        folder: The work directory.
        config_file: The sweep's, relative to `folder`.
        files: The files as they are now.

    Returns:
        The roots that exist, and whether they are all.
    """
    now, config_files = files or files_now(), named_files(config_file)
    key = (find_roots, folder, *config_files)
    return now.computed(key, lambda: _find_roots(folder, config_files, now))


def _find_roots(folder: Path, config_files: Sequence[str], files: Files) -> Roots:
    starts, complete = _named_by(tuple(scripts(folder, files=files).values()))
    names = list(starts)
    roots = _present(folder, names, files)
    if not names and complete:
        roots = _present(folder, [ROOT], files)
    elif len(roots) < len(names):
        complete = False
    named = [path for path in _present(folder, config_files, files) if is_inlist(path)]
    alone = [path for path in named if path not in roots]
    if alone:
        reached = _files(roots, folder, files)
        alone = [path for path in alone if path not in reached]
    if alone and len(alone) == len(named):
        return Roots(tuple(named), complete=True)
    return Roots(tuple(dict.fromkeys([*roots, *alone])), complete)


def config_of(
    folder: Path, config_file: str | Sequence[str] | None, files: Files | None = None
) -> Config | None:
    """Return the effective settings of a work directory, or of a run's outputs.

    A missing file may override the others, so a group that reads one is left out, with an
    `InlistWarning`. Config files of the sweep that are not inlists by name, such as GYRE's or a
    YAML file, are read too.

    Args:
        folder: The work directory, or a run's outputs.
        config_file: The sweep's, one or several, relative to `folder`: see `find_roots`.
        files: The files as they are now.

    Returns:
        The settings; None if there is no inlist, or no group could be read completely.
    """
    now = files or files_now()
    names = named_files(config_file)
    inlists = [name for name in names if Path(name).name.startswith(ROOT)]
    roots = find_roots(folder, inlists, now).paths
    config = _followed(roots, folder, now) if roots else None
    own = _own(_present(folder, names, now), config, folder, now) if config else None
    read = frozenset().union(*config.files.values()) if config else frozenset()
    paths = _present(folder, (name for name in names if name not in inlists), now)
    others = [path for path in paths if path not in read]
    if names and not inlists and len(others) == len(paths):
        return None
    known: list[Any] = [each for each in (own, config) if each is not None]
    if others:
        from pytest_remex.config import read_config  # noqa: PLC0415 - start-up

        known += map(read_config, others)
    return ChainMap(*known) if others or own else config


def _own(
    named: Sequence[Path], config: EffectiveConfig, folder: Path, files: Files
) -> EffectiveConfig | None:
    """Return the settings of config files that are a binary's star or a stage: they come first."""
    from pytest_remex.extensions.mesa.chains import ROOT_MARK, follow  # noqa: PLC0415 - as below

    marks = {group.split(ROOT_MARK)[-2] for group in config.files if ROOT_MARK in group}
    own = [path for path in named if path.name in marks]
    return follow(own, folder, files)[0] if own else None


def _followed(roots: Sequence[Path], folder: Path, files: Files) -> EffectiveConfig | None:
    # most projects without MESA get no further than looking for roots
    from pytest_remex.extensions.mesa.chains import EffectiveConfig, follow  # noqa: PLC0415
    from pytest_remex.extensions.mesa.inlists import InlistWarning  # noqa: PLC0415

    try:
        config, problems = follow(roots, folder, files)
    except NamelistError as error:
        config, problems = EffectiveConfig({}, {}), {"": error}
    for problem in dict.fromkeys(map(str, problems.values())):
        message = f"the config that ran could not be read back: {problem}"
        warnings.warn(message, InlistWarning, stacklevel=2)
    return config if config or not problems else None


def scripts(folder: Path, names: Sequence[str] = (), files: Files | None = None) -> dict[str, str]:
    """Return the texts of scripts in a folder, by name, at most 64 kB of each.

    They are `names`, else run.sbatch, else `rn`, and the scripts in the folder that these call.
    """
    now, top = files or files_now(), str(folder)
    found: dict[str, str] = {}
    waiting = list(names) or ([SCRIPT] if now.is_file(f"{top}/{SCRIPT}") else ["rn"])
    while waiting:
        name = waiting.pop(0)
        data = None if name in found else now.content(f"{top}/{name}", _LONGEST)
        if data is None or b"\0" in data:
            continue
        found[name] = data.decode("utf-8", "replace")
        waiting += _called(found[name])
    return found


@lru_cache(maxsize=64)  # nearly always, all experiments of a grid have the same scripts
def _called(text: str) -> tuple[str, ...]:
    return tuple(_CALLED.findall(text))


@lru_cache(maxsize=64)
def _named_by(texts: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    """Return the inlists that scripts start from, and whether these are all."""
    names, complete = stage_files(texts)
    return tuple(names or _variable(texts)), complete


class DoOneStage(NamedTuple):
    """A stage of a run: its inlist, and the model file that it ends with, "" if unknown."""

    inlist: str
    model: str


def do_one_stages(texts: Iterable[str]) -> list[DoOneStage]:
    """Return the stages that scripts run with `do_one inlist model logs`, in order."""
    found = (_DO_ONE.search(command) for command in _commands(texts))
    stages = [
        DoOneStage(_HERE.sub("", one[1].strip("\"'")), (one[2] or "").strip("\"'"))
        for one in found
        if one
    ]
    return [stage for stage in stages if "$" not in stage.inlist]


def stage_files(texts: Iterable[str]) -> tuple[list[str], bool]:
    """Return the files that scripts copy or link to `inlist`, and whether all are known."""
    names: list[str] = []
    complete = True
    for command in _commands(texts):
        found = _STAGE.fullmatch(command)
        written = (found[1] or found[2] or found[3]).strip("\"'") if found else "$1"
        name = _HERE.sub("", written)
        if name in {"$1", "$@"}:  # the body of do_one itself
            continue
        complete = complete and "$" not in name
        if "$" not in name:
            names.append(name)
    return list(dict.fromkeys(names)), complete


def _variable(texts: Iterable[str]) -> list[str]:
    found = [
        _HERE.sub("", name)
        for command in _commands(texts)
        for name in _INLIST_VARIABLE.findall(command)
    ]
    return list(dict.fromkeys(found))


def _commands(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from _commands_of(text)


@lru_cache(maxsize=64)  # nearly always, all experiments of a grid have the same scripts
def _commands_of(text: str) -> tuple[str, ...]:
    """Return the simple commands of a script, without comments; `${...}` is written `$...`."""
    found: list[str] = []
    for line in text.splitlines():
        plain = _BRACED.sub(r"$\1", _COMMENT.sub("", line).replace("$(pwd)", "$PWD"))
        found += (each.strip() for each in _COMMAND_END.split(plain))
    return tuple(each for each in found if each)


def is_mentioned(folder: Path, name: str, files: Files) -> bool:
    """Return whether a script names a file or a matching pattern, perhaps to copy it."""
    if name == ROOT:
        return False
    return files.computed((is_mentioned, folder, name), lambda: _is_mentioned(folder, name, files))


def _is_mentioned(folder: Path, name: str, files: Files) -> bool:
    words = (word for text in scripts(folder, files=files).values() for word in _words_of(text))
    return any(fnmatchcase(name, word) for word in words)


@lru_cache(maxsize=64)
def _words_of(text: str) -> frozenset[str]:
    """Return the words of a script's commands that may name files."""
    words = (word for command in _commands_of(text) for word in _WORD.findall(command))
    return frozenset(_HERE.sub("", word) for word in words if _LETTER.search(word))


def _present(folder: Path, names: Iterable[str], files: Files) -> list[Path]:
    return [path for name in names if files.is_file(str(path := folder / name))]


def _files(roots: Sequence[Path], folder: Path, files: Files) -> set[Path]:
    """Return the files that MESA reads from these roots, as far as they exist."""
    from pytest_remex.extensions.mesa.chains import follow  # noqa: PLC0415 - as above

    try:
        found = follow(roots, folder, files)[0].files if roots else {}
    except NamelistError:
        return set(roots)
    return {path for read in found.values() for path in read} | set(roots)
