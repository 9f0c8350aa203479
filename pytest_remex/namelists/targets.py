"""Find the group and setting that a user's name refers to."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.errors import NamelistError
from pytest_remex.namelists.namelist import split_name
from pytest_remex.namelists.values import Removal, to_python

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from pytest_remex.namelists.namelist import Group

_GROUP_NAME = re.compile(r"(\w+?)\((\d+)\)", re.ASCII)
NAME = re.compile(
    r"\s*(?:([A-Za-z_]\w*(?:\s*\(\s*\d+\s*\))?)\s*\.\s*)?([A-Za-z_]\w*(?:\s*\([^()\n]+\)|\s*%\s*\w+)*)\s*",
    re.ASCII,
)


class SettingTarget(NamedTuple):
    """What to change: a group of the text, a name in it, a subscript or "", and the value."""

    holder: str
    """The group as users name it: `controls`, or `mode(2)` for the second `&mode`."""
    group: Group | None
    """None if the file does not have it, and it is to be added."""
    written: str
    """The name as the user wrote it, without its group."""
    name: str
    subscript: str
    value: object

    @property
    def key(self) -> str:
        """The full name, in users' notation: `controls.x_ctrl(6)`."""
        return f"{self.holder}.{self.name}" + (f"({self.subscript})" if self.subscript else "")


def first_groups(groups: Iterable[Group]) -> dict[str, Group]:
    """Return the first group of each name: the one that a Fortran read finds."""
    firsts: dict[str, Group] = {}
    for group in groups:
        firsts.setdefault(group.name, group)
    return firsts


def numbered_groups(groups: Iterable[Group]) -> dict[str, Group]:
    """Return all groups by name: the first `&mode` is `mode`, the next are `mode(2)`, ..."""
    count: dict[str, int] = {}
    found: dict[str, Group] = {}
    for group in groups:
        number = count[group.name] = count.get(group.name, 0) + 1
        found[f"{group.name}({number})" if number > 1 else group.name] = group
    return found


def group_key(written: str) -> str:
    """Return a group's key in `numbered_groups`: `Mode( 1 )` becomes `mode`."""
    key = "".join(written.split()).lower()
    numbered = _GROUP_NAME.fullmatch(key)
    if not numbered:
        return key
    name, number = numbered[1], int(numbered[2])
    return name if number == 1 else f"{name}({number})"


def find_targets(
    groups: Mapping[str, Group], settings: Mapping[str, object], new_groups: Container[str] = ()
) -> list[SettingTarget]:
    """Find the target of each name in `settings`, in the given order.

    Missing groups can be added if they are in `new_groups`.

    Raises `NamelistError`, with the candidates, for a name that is in no group or several groups,
    or that appears twice.
    """
    targets: list[SettingTarget] = []
    seen: dict[tuple[str, str], list[str]] = {}
    for group, written, value in _flat(settings):
        target = _find(groups, group, written, value, new_groups)
        others = seen.setdefault((target.holder, target.name), [])
        if any(_may_overlap(target.subscript, other) for other in others):
            raise NamelistError(f"{target.key} appears twice: give it once")
        others.append(target.subscript)
        targets.append(target)
    return targets


def only_holder(groups: Mapping[str, Group], written: str) -> str:
    """Return the group that has a name, "" if none has; raises `NamelistError` if several have."""
    name = split_name(written)[0]
    holders = [
        key
        for key, group in groups.items()
        if any(setting.name == name for setting in group.settings)
    ]
    if len(holders) > 1:
        candidates = _listed(f"{group}.{written}" for group in holders[:5])
        raise NamelistError(f"{written} is in {len(holders)} groups: name one, {candidates}")
    return next(iter(holders), "")


def unknown_setting(groups: Mapping[str, Group], written: str, name: str) -> str:
    """Return a message that a name is in no group, with similar names."""
    here = {
        f"{group}.{setting.name}": setting.name
        for group, found in groups.items()
        for setting in found.settings
    }
    near = set(difflib.get_close_matches(name, here.values(), n=3))
    similar = [full for full, short in here.items() if short in near]
    hint = f"did you mean {_listed(similar)}? " if similar else ""
    if not groups:
        return f"{written} is in no group: there are no groups here"
    full = _listed(f"{group}.{written}" for group in groups)
    return f"{written} is in no group: {hint}to add it, name its group: {full}"


def _flat(settings: Mapping[str, object]) -> Iterator[tuple[str | None, str, object]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from ((name, inner, innermost) for inner, innermost in value.items())
        else:
            yield None, name, value


def _find(
    groups: Mapping[str, Group],
    group: str | None,
    written: str,
    given: object,
    new_groups: Container[str],
) -> SettingTarget:
    match = NAME.fullmatch(written)
    if not match or (group and match[1]):
        raise NamelistError(
            f"{written!r} is not a setting's name: write initial_mass, x_ctrl(6) or "
            f"controls.x_ctrl(6)"
        )
    name, subscript = split_name(match[2])
    value = to_python(given)
    group = group or match[1]
    firsts = {key: found for key, found in groups.items() if "(" not in key}  # Fortran reads these
    holder = group_key(group) if group else only_holder(firsts, written)
    if not holder:
        raise NamelistError(unknown_setting(groups, written, name))
    if holder not in groups and (holder not in new_groups or isinstance(value, Removal)):
        raise NamelistError(
            f"there is no &{group}: the groups are {_listed(f'&{name}' for name in groups)}"
        )
    return SettingTarget(holder, groups.get(holder), match[2], name, subscript, value)


def _may_overlap(subscript: str, other: str) -> bool:
    return subscript == other or not (subscript and other) or ":" in subscript + other


def _listed(names: Iterable[str]) -> str:
    return " or ".join(names)
