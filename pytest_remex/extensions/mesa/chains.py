"""Follow the inlists that MESA reads from a first one, and tell which setting counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.arrays import assignments, key_of, last_values
from pytest_remex.extensions.mesa.inlists import load
from pytest_remex.extensions.mesa.namelist import line_at, split_name
from pytest_remex.extensions.mesa.targets import first_groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_remex.extensions.mesa.inlists import Inlist
    from pytest_remex.extensions.mesa.values import Literal
    from pytest_remex.model import Value

_DEEPEST = 10
_READ = re.compile(r"read_extra_\w+?_inlist(?:\((\d)\)|(\d))?")
_FILE = re.compile(r"extra_\w+?_inlist(?:_name(?:\((\d)\))?|(\d)_name)")


class Origin(NamedTuple):
    """A value given to a setting, and where: the name in lower case, subscript, file and line."""

    group: str
    name: str
    subscript: str
    value: Literal
    path: Path
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveConfig(Mapping[str, "Value"]):
    """The settings with which MESA starts from an inlist, all files that it reads taken together.

    A name is looked up in any case, as `initial_mass`, `x_ctrl(6)` or `controls.x_ctrl(6)`; the
    bare name of an array gives the list of its elements from 1 on. A plain name that several groups
    hold is not found. Settings that no inlist gives have MESA's defaults and are not here.
    """

    given: Mapping[str, Mapping[str, tuple[Origin, ...]]]
    """By group and name, every value given, in the order in which MESA reads them."""

    def origin(self, name: str) -> Origin:
        """Tell where the value of a setting that counts is given; raises `KeyError`."""
        return self.origins(name)[-1]

    def origins(self, name: str) -> tuple[Origin, ...]:
        """Tell where values are given to a setting, the last counts; raises `KeyError`."""
        group, key = self._split(name)
        holders = [names[key] for found, names in self._groups(group) if key in names]
        if len(holders) != 1:
            raise KeyError(name)
        return holders[0]

    def __getitem__(self, name: str) -> Value:
        """Give the value that counts; raises `KeyError`."""
        group, key = self._split(name)
        holders = [
            names for _, names in self._groups(group) if key in names or f"{key}(1)" in names
        ]
        if len(holders) != 1:
            raise KeyError(name)
        if key in holders[0]:
            return holders[0][key][-1].value
        return [origins[-1].value for origins in _elements(holders[0], key)]

    def __iter__(self) -> Iterator[str]:
        """Go through the names, with their group where several groups hold one."""
        count: dict[str, int] = {}
        for names in self.given.values():
            for key in names:
                count[key] = count.get(key, 0) + 1
        for group, names in self.given.items():
            yield from (key if count[key] == 1 else f"{group}.{key}" for key in names)

    def __len__(self) -> int:
        """Count the settings."""
        return sum(map(len, self.given.values()))

    def _groups(self, group: str) -> Iterable[tuple[str, Mapping[str, tuple[Origin, ...]]]]:
        return [(name, self.given[name]) for name in self.given if group in ("", name)]

    def _split(self, name: str) -> tuple[str, str]:
        group, _, rest = name.strip().lower().rpartition(".")
        base, subscript = split_name(rest)
        return group.strip(), key_of(base, subscript, ())


def effective_config(root: str | Path) -> EffectiveConfig:
    """Follow the inlists from `root`, as MESA does, and take their settings together.

    In each group of `root`, `read_extra_controls_inlist(1) = .true.` reads the group also from the
    file `extra_controls_inlist_name(1)`, in the folder of `root` (older MESA writes
    `read_extra_controls_inlist1`, `extra_controls_inlist1_name`), and so on from there: what a file
    reads overrides what it says itself, a later one overrides an earlier one. Source:
    star/private/ctrls_io.f90 of MESA.

    Raises `NamelistError` where a file is missing or no namelist file, or is more than 10 files
    away from `root`.
    """
    root = Path(root)
    chain = _Chain(root.parent, {})
    groups = first_groups(chain.load(root).groups)
    given = {group: list(chain.read(group, root, 1)) for group in groups}
    return EffectiveConfig({group: _by_key(found) for group, found in given.items()})


def overridden(effective: EffectiveConfig, config: Mapping[str, object]) -> Iterator[str]:
    """Say which values of `config` stand in an inlist but are overridden in one read later."""
    for name, wanted in config.items():
        try:
            *earlier, last = effective.origins(name)
        except KeyError:
            continue
        meant = next((one for one in reversed(earlier) if one.value == wanted), None)
        if meant and last.value != wanted:
            yield (
                f"{name} = {wanted!r} in {meant.path.name} line {meant.line} is overridden by "
                f"{last.value!r} in {last.path.name} line {last.line}"
            )


@dataclass(frozen=True, slots=True)
class _Chain:
    """The files read so far, each once."""

    folder: Path
    loaded: dict[Path, Inlist]

    def load(self, path: Path) -> Inlist:
        if path not in self.loaded:
            self.loaded[path] = load(path)
        return self.loaded[path]

    def read(self, group: str, path: Path, level: int) -> Iterator[Origin]:
        """Give what `path` says in `group`, then what the files that it reads say."""
        if level > _DEEPEST:
            raise NamelistError(
                f"{path.name} is more than {_DEEPEST} inlists deep in &{group}: MESA stops there, "
                f"see whether an inlist reads itself"
            )
        inlist = self.load(path)
        found = first_groups(inlist.groups).get(group)
        try:
            given = assignments(inlist.text, found) if found else []
        except NamelistError as error:
            raise NamelistError(f"{path}: {error}") from None
        for one in given:
            line = line_at(inlist.text, one.position)
            yield Origin(group, one.name, one.subscript, one.value, path, line)
        values = {key: one.value for key, one in last_values(given).items()}
        for name in _extra_files(values):
            yield from self.read(group, self._child(path, group, name), level + 1)

    def _child(self, parent: Path, group: str, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise NamelistError(
                f"{parent.name} reads &{group} from {name!r}, which is not in {self.folder}: "
                f"add it, or fetch it with the outputs"
            )
        return path


def _extra_files(values: Mapping[str, Literal]) -> list[str]:
    """Name the files that a group reads, in MESA's order."""
    wanted = {
        _number(match)
        for key, value in values.items()
        if value is True and (match := _READ.fullmatch(key))
    }
    names = {
        _number(match): value for key, value in values.items() if (match := _FILE.fullmatch(key))
    }
    return [str(names.get(number, "undefined")) for number in sorted(wanted)]


def _number(match: re.Match[str]) -> int:
    return int(match[1] or match[2] or 1)


def _by_key(given: Iterable[Origin]) -> dict[str, tuple[Origin, ...]]:
    known = list(given)
    arrays = {one.name for one in known if one.subscript}
    found: dict[str, tuple[Origin, ...]] = {}
    for one in known:
        key = key_of(one.name, one.subscript, arrays)
        found[key] = (*found.get(key, ()), one)
    return found


def _elements(names: Mapping[str, tuple[Origin, ...]], name: str) -> Iterator[tuple[Origin, ...]]:
    place = 1
    while f"{name}({place})" in names:
        yield names[f"{name}({place})"]
        place += 1
