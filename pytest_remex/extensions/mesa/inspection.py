"""Warn of problems in a patched work directory before anything is submitted.

Problems are settings that MESA does not read, that are overridden, or that MESA does not know.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.chains import (
    ROOT_MARK,
    follow,
    point_mass_inlist,
)
from pytest_remex.extensions.mesa.inlists import MESA_GROUPS, ambiguities, load, parse, values_of
from pytest_remex.extensions.mesa.roots import ROOT, find_roots, is_inlist, is_mentioned
from pytest_remex.known_files import files_now
from pytest_remex.namelists.namelist import first_groups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from pytest_remex.experiment import Experiment
    from pytest_remex.extensions.mesa.chains import EffectiveConfig
    from pytest_remex.extensions.mesa.inlists import Inlist
    from pytest_remex.extensions.mesa.known_controls import KnownControls
    from pytest_remex.extensions.mesa.roots import Roots
    from pytest_remex.known_files import Files
    from pytest_remex.namelists.values import Literal

_CHAINED = frozenset(group for group in MESA_GROUPS if not group.startswith("astero"))
"""Groups with `read_extra_..._inlist`; the files of astero have fixed names."""
_COMPUTING = _CHAINED - {"pgstar", "pgbinary"}
"""Those that do more than say what to plot."""
_REQUIRED = ("binary_controls", "binary_job", "controls", "star_job")
"""Those without which MESA stops, in each file from which it reads them; for others it warns."""
_NEARLY_NUMBER = re.compile(r"[+-]?\.?\d")
_SHOWN = 10
"""How many of a group's settings a warning names."""


class PatchedSetting(NamedTuple):
    """A setting whose value the patch changed or added."""

    path: Path
    group: str
    key: str
    value: Literal


class Work(NamedTuple):
    """A work directory: the inlists that MESA starts from, and what it reads from there."""

    folder: Path
    roots: Roots
    effective: EffectiveConfig
    files: Files


def inspect(
    experiment: Experiment,
    controls: KnownControls | None,
    originals: Mapping[str, bytes],
    files: Files | None = None,
) -> list[str]:
    """Return warnings of patched settings that MESA does not read, does not know or overrides.

    Args:
        experiment: Its path is the patched checkout.
        controls: The controls of an installed MESA; None leaves names and types unchecked.
        originals: The bytes, in the base commit, of the files that the patch changed.
        files: The files as they are now.

    Returns:
        One sentence for each problem; none if there is no inlist.
    """
    warnings: list[str] = []
    now = files or files_now()
    top, named = experiment.path, experiment.sweep.config_files
    try:
        patched = list(_patched(top, originals, now))
    except NamelistError as error:
        return [str(error)]
    homes = {path: _work_folder(top, path, now) for path in {one.path: None for one in patched}}
    for folder in dict.fromkeys([top, *homes.values()]):
        roots = find_roots(folder, named, now)
        if not roots.paths:
            continue
        try:
            effective, problems = follow(roots.paths, folder, now)
        except NamelistError as error:
            warnings.append(str(error))
            continue
        warnings += map(str, problems.values())
        here = [one for one in patched if homes[one.path] == folder]
        work = Work(folder, roots, effective, now)
        warnings += [*_lacking(work), *_misread(work), *_unread(work, here)]
        warnings += _unknown(effective, controls) if controls else ()
    return list(dict.fromkeys(warnings))


def _patched(
    folder: Path, originals: Mapping[str, bytes], files: Files
) -> Iterator[PatchedSetting]:
    """Yield the settings whose values the patch changed or added."""
    for name, data in originals.items():
        path = _joined(folder, name)
        if not (is_inlist(path) and files.is_file(str(path))):
            continue
        before, after = parse(path, data), load(path, files)
        for group in _changed_groups(before, after):
            old = values_of(before, group)
            for key, new in values_of(after, group).items():
                if key not in old or old[key] != new:
                    yield PatchedSetting(path, group, key, new)


def _changed_groups(before: Inlist, after: Inlist) -> list[str]:
    """Return the groups whose text differs, or that were added."""
    old = {name: before.source(group) for name, group in first_groups(before.groups).items()}
    new = {name: after.source(group) for name, group in first_groups(after.groups).items()}
    return [name for name, text in new.items() if old.get(name) != text]


@lru_cache(maxsize=64)  # the experiments of a sweep have one checkout, and change the same files
def _joined(folder: Path, name: str) -> Path:
    return folder / name


@lru_cache(maxsize=64)
def _folders_below(top: Path, path: Path) -> tuple[Path, ...]:
    """Return the folders between a checkout and a file in it, the file's own first."""
    return tuple(folder for folder in path.parents if folder.is_relative_to(top) and folder != top)


def _work_folder(top: Path, path: Path, files: Files) -> Path:
    """Return the folder where MESA runs that reads a file: the nearest that has an `inlist`."""
    inner = _folders_below(top, path)
    return next((folder for folder in inner if files.is_file(f"{folder}/{ROOT}")), top)


def _lacking(work: Work) -> Iterator[str]:
    """Yield a warning for each file that lacks a group that MESA requires there."""
    for group in _REQUIRED:
        read = (files for name, files in work.effective.files.items() if _bare(name) == group)
        for path in sorted(frozenset().union(*read)):
            groups = first_groups(load(path, work.files).groups)
            if group not in groups and not _is_handled(work, path):
                yield (
                    f"MESA stops at its start: it reads &{group} from {_shown(work, path)}, which "
                    f"has none: add a line with &{group} and one with / to that file"
                )


def _misread(work: Work) -> Iterator[str]:
    """Yield what Fortran cannot read, or reads differently from what was meant."""
    for path in sorted(frozenset().union(*work.effective.files.values())):
        for problem in work.files.computed((_misread, path), partial(_problems, path, work.files)):
            yield f"{_shown(work, path)}: {problem}"
    for names in work.effective.given.values():
        for one in (each for origins in names.values() for each in origins if each.placeholder):
            if _NEARLY_NUMBER.match(str(one.value)):
                yield (
                    f"MESA stops at its start: {_shown(work, one.path)} line {one.line}: "
                    f"{one.name} = {one.value} is not a number that Fortran reads: correct it"
                )


def _problems(path: Path, files: Files) -> tuple[str, ...]:
    return tuple(ambiguities(load(path, files)))


def _unread(work: Work, patched: Iterable[PatchedSetting]) -> Iterator[str]:
    """Yield a warning for settings without effect: not read, or patched and overridden."""
    unread: dict[tuple[Path, str], list[str]] = {}
    for one in patched:
        places = [group for group in _readers(work, one.path) if _bare(group) == one.group]
        if places:
            yield from _overridden(work, one, places)
        else:
            unread.setdefault((one.path, one.group), []).append(one.key)
    for path in sorted({path for read in work.effective.files.values() for path in read}):
        told = {group for other, group in unread if _is_same(work, path, other)}
        unread |= {(path, group): keys for group, keys in _not_read_from(work, path, told)}
    for (path, group), keys in unread.items():
        if work.roots.complete and group in _CHAINED and not _is_handled(work, path):
            others = dict.fromkeys(f"&{_bare(each)}" for each in _readers(work, path))
            yield _not_read(work, path, group, keys, list(others))


def _not_read_from(
    work: Work, path: Path, told: Collection[str]
) -> Iterator[tuple[str, list[str]]]:
    """Yield the groups that a file sets and MESA does not read from it, with their settings.

    Of 148 work directories in MESA's test suite, one has such a group: &kap with zbase.
    """
    known = {*map(_bare, _readers(work, path)), *told}
    for name, group in first_groups(load(path, work.files).groups).items():
        # the values are not read: what is wrong with them has no effect either
        keys = list(dict.fromkeys(setting.key for setting in group.settings if setting.items))
        if name in _COMPUTING and name not in known and keys:
            yield name, keys


def _is_handled(work: Work, path: Path) -> bool:
    """Return whether a script names the file: it may copy or link it to where MESA reads it."""
    return is_mentioned(work.folder, _shown(work, path), work.files)


def _readers(work: Work, path: Path) -> list[str]:
    """Return the groups that MESA reads from a file."""
    return [
        group
        for group, read in work.effective.files.items()
        if any(_is_same(work, path, each) for each in read)
    ]


def _is_same(work: Work, one: Path, other: Path) -> bool:
    """Return whether two paths are names of the same file."""
    return one == other or work.files.identity(str(one)) == work.files.identity(str(other))


def _bare(group: str) -> str:
    return group.rpartition(ROOT_MARK)[2]


def _not_read(work: Work, path: Path, group: str, keys: list[str], others: list[str]) -> str:
    name = _shown(work, path)
    settings = ", ".join(keys[:_SHOWN]) + (" and more" if len(keys) > _SHOWN else "")
    if name == point_mass_inlist(work.effective):
        return (
            f"MESA ignores {settings} in &{group} of {name}: with evolve_both_stars = "
            f".false. in &binary_job that star is a point mass: set it to .true., or patch another "
            f"inlist"
        )
    known = [each.split(ROOT_MARK) for each in work.effective.files if _bare(each) == group]
    stars = dict.fromkeys(each[-2] for each in known if len(each) > 1)  # and stages
    roots = " or ".join(stars or (_shown(work, root) for root in work.roots.paths))
    reads = f"{roots} reads only {' and '.join(others)} from it" if others else (
        f"no inlist that {roots} reads names that file"
    )  # fmt: skip
    return (
        f"MESA ignores {settings} in &{group} of {name}: {reads}: add "
        f"read_extra_{group}_inlist(1) = .true. and extra_{group}_inlist_name(1) = '{name}' to "
        f"&{group} of {roots}"
    )


def _overridden(work: Work, one: PatchedSetting, places: Iterable[str]) -> Iterator[str]:
    """Yield a warning if another value is effective, from all roots that read the setting."""
    warnings = []
    for group in places:
        names = work.effective.given.get(group, {})
        origins = names.get(one.key) or names.get(f"{one.key}(1)", ())
        same = (each for each in origins if each.value == one.value)
        meant = next(
            (each for each in reversed(tuple(same)) if _is_same(work, each.path, one.path)), None
        )
        if meant is None or origins[-1].value == one.value:
            return
        last = origins[-1]
        warnings.append(
            f"{group}.{one.key} = {meant.value!r} in {meant.path.name} line {meant.line} is "
            f"overridden by {last.value!r} in {last.path.name} line {last.line}"
        )
    yield from warnings


def _shown(work: Work, path: Path) -> str:
    name, top = str(path), f"{work.folder}/"
    return name.removeprefix(top) if name.startswith(top) else path.name


def _unknown(effective: EffectiveConfig, controls: KnownControls) -> Iterator[str]:
    for names in effective.given.values():
        for origins in names.values():
            for one in origins:
                doubt = controls.doubt(one.group, one.name)
                if not (doubt or one.placeholder):
                    doubt = controls.kind_doubt(one.group, one.name, one.value)
                if doubt:
                    yield f"{one.path.name} line {one.line}: {doubt}"
