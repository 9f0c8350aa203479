"""Follow the inlists that MESA reads, from the first one, and combine their settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from pytest_remex.common.grouping import grouped
from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.inlists import group_values, load
from pytest_remex.known_files import files_now
from pytest_remex.namelists.namelist import first_groups, line_at, split_name
from pytest_remex.namelists.values import is_quoted, key_of, last_values, leading_elements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_remex.extensions.mesa.inlists import Inlist
    from pytest_remex.known_files import Files
    from pytest_remex.model import Value
    from pytest_remex.namelists.values import Literal

    Names = Mapping[str, tuple["Origin", ...]]

ROOT_MARK = ":"
"""The separator between a root's name and a group's: `inlist1:controls`."""
_DEEPEST = 9
"""MESA stops at the tenth: `max_nested_inlists` in its utils/public/namelist.f90."""
_READ = re.compile(r"read_extra_\w+?_inlist(?:\((\d)\)|(\d))?")
_FILE = re.compile(r"extra_\w+?_inlist(?:_name(?:\((\d)\))?|(\d)_name)")


class Origin(NamedTuple):
    """A value of a setting, and where it is set.

    Args:
        group: The group's name in lower case.
        name: The setting's name in lower case, without a subscript.
        subscript: The subscript, such as `6`; empty if there is none.
        value: The value, in MESA's units.
        path: The inlist.
        line: The line, from 1 on.
        placeholder: Whether the value is a placeholder of a template, such as `<<rate>>`, which has
            no type yet.

    """

    group: str
    name: str
    subscript: str
    value: Literal
    path: Path
    line: int
    placeholder: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveConfig(Mapping[str, "Value"]):
    """The settings with which MESA starts, combined from all files that it reads.

    A name is `initial_mass`, `x_ctrl(6)` or `controls.x_ctrl(6)`, in upper or lower case; the bare
    name of an array is the list of its elements from 1 on, `x_ctrl(2:4)` one of three. A name
    without its group is not found if several groups have it. Settings that no inlist sets have
    MESA's defaults and are not here.

    The stars of a binary, and the stages of a run, have their own groups, named
    `inlist1:controls`. A name without that prefix is found if all that have it agree.

    Args:
        given: By group and name, every value that is set, in the order in which MESA reads them.
        files: By group, the files from which MESA reads it.

    Example:
        >>> effective_config("inlist").origin("initial_mass").path.name
        'inlist_project'

    """

    given: Mapping[str, Mapping[str, tuple[Origin, ...]]]
    files: Mapping[str, frozenset[Path]]

    def origin(self, name: str) -> Origin:
        """Return where the effective value of a setting is set; raises `KeyError`."""
        return self.origins(name)[-1]

    def origins(self, name: str) -> tuple[Origin, ...]:
        """Return where a setting is set; the last one is effective. Raises `KeyError`."""
        group, key = self._split(name)
        return self._only(name, [each for each in self._groups(group) if key in each[1]])[key]

    def __getitem__(self, name: str) -> Value:
        """Return the effective value; raises `KeyError`."""
        group, key = self._split(name)
        holders = [
            each
            for each in self._groups(group)
            if _known(each[1], key) or leading_elements(each[1], key)
        ]
        return _value(self._only(name, holders), key)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, with the group if several groups have the same name."""
        count: dict[str, int] = {}
        for names in self.given.values():
            for key in names:
                count[key] = count.get(key, 0) + 1
        for group, names in self.given.items():
            yield from (key if count[key] == 1 else f"{group}.{key}" for key in names)

    def __len__(self) -> int:
        """Count the settings."""
        return sum(map(len, self.given.values()))

    def _only(self, name: str, holders: list[tuple[str, Names]]) -> Names:
        """Return the one that has a name; any of several stars or stages if they agree."""
        key = self._split(name)[1]
        homes = {group.rpartition(ROOT_MARK)[2] for group, _ in holders}
        values = [_value(names, key) for _, names in holders]
        if len(homes) != 1 or any(value != values[0] for value in values):
            raise KeyError(name)
        return holders[-1][1]

    def _groups(self, group: str) -> Iterable[tuple[str, Names]]:
        return [
            (name, names)
            for name, names in self.given.items()
            if group in ("", name, name.rpartition(ROOT_MARK)[2])
        ]

    def _split(self, name: str) -> tuple[str, str]:
        base, bracket, subscript = name.strip().partition("(")  # a section has colons too
        root, mark, rest = base.rpartition(ROOT_MARK)
        group, _, setting = rest.rpartition(".")
        key = key_of(*split_name(setting + bracket + subscript), ())
        return root + mark + group.strip().lower(), key


def _known(names: Names, key: str) -> tuple[Origin, ...]:
    """Return where a setting is set; a single value of a bare name is also its element 1."""
    return names.get(key) or (names.get(key[:-3], ()) if key.endswith("(1)") else ())


def _value(names: Names, key: str) -> Value:
    if known := _known(names, key):
        return cast("Value", known[-1].value)
    return [cast("Value", each[-1].value) for each in leading_elements(names, key)]


def effective_config(root: str | Path | Sequence[str | Path]) -> EffectiveConfig:
    """Follow the inlists from the first one, as MESA does, and combine their settings.

    In each group of the root, `read_extra_controls_inlist(1) = .true.` makes MESA read the group
    also from the file `extra_controls_inlist_name(1)` in the folder of the root (older MESA writes
    `read_extra_controls_inlist1`, `extra_controls_inlist1_name`), and so on from there. A file that
    is read overrides the one that reads it, and a later file overrides an earlier one. In a binary,
    the stars' inlists, `inlist_names(1:2)` of &binary_job, are followed too.
    Sources: star/private/ctrls_io.f90 and binary/private/binary_job_ctrls_io.f90 of MESA.

    Args:
        root: The inlist that MESA starts from; several for the stages of a run.

    Returns:
        The settings, as a mapping that also knows where each is set.

    Raises:
        NamelistError: A file is missing, is not a namelist file, or is more than 9 files away.

    Example:
        >>> effective_config("inlist")["initial_mass"]
        12.5
        >>> effective_config("inlist")["inlist2:controls.mixing_length_alpha"]
        2
    """
    config, problems = follow([root] if isinstance(root, str | Path) else list(root))
    if problems:
        raise next(iter(problems.values()))
    return config


def follow(
    roots: Sequence[str | Path], folder: Path | None = None, files: Files | None = None
) -> tuple[EffectiveConfig, Mapping[str, NamelistError]]:
    """Follow the inlists from one or several roots.

    Args:
        roots: The first inlists.
        folder: Where MESA runs; file names in inlists are relative to it. By default the root's.
        files: The files as they are now.

    Returns:
        The settings, and for each group that could not be followed the reason. Its settings are
        left out, since a file that was not read may override them.

    Raises:
        NamelistError: A root itself cannot be read.
    """
    now = files or files_now()
    starts = [root if isinstance(root, Path) else Path(root) for root in roots]
    return now.computed((follow, *starts, folder), lambda: _follow(starts, folder, now))


def _follow(
    starts: Sequence[Path], folder: Path | None, now: Files
) -> tuple[EffectiveConfig, Mapping[str, NamelistError]]:
    given: dict[str, Mapping[str, tuple[Origin, ...]]] = {}
    files: dict[str, frozenset[Path]] = {}
    problems: dict[str, NamelistError] = {}
    for root in starts:
        chain = _Chain(folder or root.parent, now)
        mark = f"{root.name}{ROOT_MARK}" if len(starts) > 1 else ""
        for name, path, groups in _stars(chain, root, mark, problems):
            for group in groups:
                read: set[Path] = set()
                try:
                    given[name + group] = _by_key(chain.read(group, path, 1, read))
                except NamelistError as error:
                    problems[name + group] = error
                files[name + group] = frozenset(read)
    return EffectiveConfig(given, files), problems


def _stars(
    chain: _Chain, root: Path, mark: str, problems: dict[str, NamelistError]
) -> Iterator[tuple[str, Path, list[str]]]:
    """Yield a root and, for a binary, the stars' inlists: the prefix, the file, its groups."""
    groups = list(first_groups(chain.load(root).groups))
    yield mark, root, groups
    if "binary_job" not in groups:
        return
    try:
        job = EffectiveConfig({"binary_job": _by_key(chain.read("binary_job", root, 1, set()))}, {})
    except NamelistError:
        return  # reported with the group itself
    for star, name in star_inlists(job).items():
        path = chain.folder / name
        if chain.now.is_file(str(path)):
            groups = list(first_groups(chain.load(path).groups))
            yield f"{mark}{path.name}{ROOT_MARK}", path, groups
        elif f"inlist_names({star})" in job:
            problems[f"{mark}{path.name}"] = chain.missing(root, "binary_job", name)


def star_inlists(config: Mapping[str, Value]) -> dict[str, str]:
    """Return the inlists of a binary's stars, "1" and "2", that MESA reads; a point mass has none.

    Source: binary/defaults/binary_job.defaults of MESA.
    """
    stars = "1" if config.get("binary_job.evolve_both_stars") is False else "12"
    return {star: _star_inlist(config, star) for star in stars}


def point_mass_inlist(config: Mapping[str, Value]) -> str:
    """Return the inlist that MESA ignores since the second star is a point mass; "" if none."""
    return "" if "2" in star_inlists(config) else _star_inlist(config, "2")


def _star_inlist(config: Mapping[str, Value], star: str) -> str:
    return str(config.get(f"binary_job.inlist_names({star})", f"inlist{star}")).rstrip(" ")


@dataclass(frozen=True, slots=True)
class _Chain:
    """The files in the folder where MESA runs."""

    folder: Path
    now: Files
    loaded: dict[Path, Inlist] = field(default_factory=dict)

    def load(self, path: Path) -> Inlist:
        if path not in self.loaded:
            self.loaded[path] = load(path, self.now)
        return self.loaded[path]

    def read(self, group: str, path: Path, level: int, read: set[Path]) -> Iterator[Origin]:
        """Yield the values that `path` sets in `group`, then those of the files that it reads."""
        if level > _DEEPEST:
            raise NamelistError(
                f"{path.name} is more than {_DEEPEST} inlists deep in &{group}: MESA stops there; "
                f"check whether an inlist reads itself"
            )
        inlist = self.load(path)
        read.add(path)
        try:
            contents = _contents(inlist.text, group)
        except NamelistError as error:
            raise NamelistError(f"{path}: {error}") from None
        for name, subscript, value, line, bare in contents.values:
            yield Origin(group, name, subscript, value, path, line, bare)
        for name in contents.files:
            child = self.folder / name
            if not self.now.is_file(str(child)):
                raise self.missing(path, group, name)
            yield from self.read(group, child, level + 1, read)

    def missing(self, parent: Path, group: str, child: str) -> NamelistError:
        return NamelistError(
            f"{parent.name} reads &{group} from {child!r}, which is not in {self.folder}: "
            f"add it, or fetch it with the outputs"
        )


class _Contents(NamedTuple):
    """The contents of a group in one file."""

    values: tuple[tuple[str, str, Literal, int, bool], ...]
    """The name, subscript, value and line of each setting, and whether the value is bare."""
    files: tuple[str, ...]
    """The files from which MESA reads the group next."""


@lru_cache(maxsize=128)  # the experiments of a sweep share most of their inlists
def _contents(text: str, group: str) -> _Contents:
    found = group_values(text, group)
    values = tuple(
        (
            one.name,
            one.subscript,
            one.value,
            line_at(text, one.position),
            isinstance(one.value, str) and not is_quoted(text, one.position),
        )
        for one in found
    )
    last = {key: one.value for key, one in last_values(found).items()}
    return _Contents(values, tuple(_extra_files(last)))


def _extra_files(values: Mapping[str, Literal]) -> list[str]:
    """Return the names of the files that a group reads, in MESA's order."""
    wanted = {
        _number(match)
        for key, value in values.items()
        if value is True and (match := _READ.fullmatch(key))
    }
    names = {
        _number(match): value for key, value in values.items() if (match := _FILE.fullmatch(key))
    }
    found = (str(names.get(number, "undefined")) for number in sorted(wanted))
    return [name.rstrip(" ") for name in found]  # as Fortran does


def _number(match: re.Match[str]) -> int:
    return int(match[1] or match[2] or 1)


def _by_key(given: Iterable[Origin]) -> dict[str, tuple[Origin, ...]]:
    known = list(given)
    arrays = {one.name for one in known if one.subscript}
    found = grouped((key_of(one.name, one.subscript, arrays), one) for one in known)
    return {key: tuple(each) for key, each in found.items()}
