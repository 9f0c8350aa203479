"""The settings with which MESA starts: all inlists that it reads, taken together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.extensions.mesa.arrays import key_of
from pytest_remex.extensions.mesa.namelist import split_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_remex.extensions.mesa.values import Literal
    from pytest_remex.model import Value

    Names = Mapping[str, tuple["Origin", ...]]

ROOT_MARK = ":"
"""Between a root's name and a group's: `inlist1:controls`."""


class Origin(NamedTuple):
    """A value given to a setting, and where: the name in lower case, subscript, file and line."""

    group: str
    name: str
    subscript: str
    value: Literal
    path: Path
    line: int
    placeholder: bool = False
    """Whether the value is a template's, such as `<<rate>>`, and has no kind yet."""


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveConfig(Mapping[str, "Value"]):
    """The settings with which MESA starts, all files that it reads taken together.

    A name is looked up in any case, as `initial_mass`, `x_ctrl(6)` or `controls.x_ctrl(6)`; the
    bare name of an array is the list of its elements from 1 on. A plain name that several groups
    hold is not found. Settings that no inlist gives have MESA's defaults and are not here.

    The stars of a binary, and the stages of a run, each have their own groups, named
    `inlist1:controls`. A name without that mark is found where all that hold it agree.
    """

    given: Mapping[str, Mapping[str, tuple[Origin, ...]]]
    """By group and name, every value given, in the order in which MESA reads them."""
    files: Mapping[str, frozenset[Path]]
    """By group, the files in which MESA looks for it."""

    def origin(self, name: str) -> Origin:
        """Return where the value of a setting that counts is given; raises `KeyError`."""
        return self.origins(name)[-1]

    def origins(self, name: str) -> tuple[Origin, ...]:
        """Return where values are given to a setting, the last counts; raises `KeyError`."""
        group, key = self._split(name)
        return self._only(name, [names for _, names in self._groups(group) if key in names])[key]

    def __getitem__(self, name: str) -> Value:
        """Return the value that counts; raises `KeyError`."""
        group, key = self._split(name)
        holders = [
            names for _, names in self._groups(group) if key in names or f"{key}(1)" in names
        ]
        return _value(self._only(name, holders), key)

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

    def _only(self, name: str, holders: list[Names]) -> Names:
        """Return the one that holds a name; of several stars or stages any, where they agree."""
        key = self._split(name)[1]
        homes = {
            one.group
            for names in holders
            for found in (key, f"{key}(1)")
            for one in names.get(found, ())
        }
        if len(homes) != 1 or any(_value(one, key) != _value(holders[0], key) for one in holders):
            raise KeyError(name)
        return holders[-1]

    def _groups(self, group: str) -> Iterable[tuple[str, Names]]:
        return [
            (name, names)
            for name, names in self.given.items()
            if group in ("", name, name.rpartition(ROOT_MARK)[2])
        ]

    def _split(self, name: str) -> tuple[str, str]:
        root, mark, rest = name.strip().rpartition(ROOT_MARK)
        group, _, setting = rest.rpartition(".")
        base, subscript = split_name(setting)
        return root + mark + group.strip().lower(), key_of(base, subscript, ())


def _value(names: Names, key: str) -> Value:
    if key in names:
        return names[key][-1].value
    return [origins[-1].value for origins in _elements(names, key)]


def _elements(names: Names, name: str) -> Iterator[tuple[Origin, ...]]:
    place = 1
    while f"{name}({place})" in names:
        yield names[f"{name}({place})"]
        place += 1
