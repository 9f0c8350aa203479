"""Fortran namelists as config files: GYRE, WRF, NEMO, Quantum ESPRESSO, CESM, MESA."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from pytest_remex.common.grouping import grouped
from pytest_remex.config.settings import Addition, Settings
from pytest_remex.errors import NamelistError
from pytest_remex.namelists.namelist import Group, SettingTarget, numbered_groups, scan, split_name
from pytest_remex.namelists.patching import (
    NAME,
    find_targets,
    group_key,
    only_holder,
    patch_text,
    unknown_setting,
)
from pytest_remex.namelists.values import Removal, assignments, last_values, leading_elements

_LAID_AROUND = "user_nl"
_HEAD = f"&{_LAID_AROUND}\n"
_TAIL = "/\n"
_LINE = re.compile(r"\s*(?:!.*|[A-Za-z_]\w*\s*(?:\([^()]*\))?(?:\s*%\s*\w+)*\s*=.*)?", re.ASCII)


class NamelistSettings(Settings):
    """The groups of a namelist file, by name in lower case; repeated groups are a list.

    `settings["controls.x_ctrl(6)"]`, `settings["mode(2).l"]` and, if only one group has it,
    `settings["x_ctrl(6)"]` work, in upper or lower case; the bare name of an array is a
    list, and so is a section, `settings["x_ctrl(2:4)"]`.
    """

    def __missing__(self, name: str) -> object:
        """Return the value of a setting by a name in the notation of `patch_config`."""
        match = NAME.fullmatch(name)
        if not match:
            raise KeyError(name)
        key, subscript = split_name(match[2])
        wanted = group_key(match[1]) if match[1] else None
        found = [
            value
            for group, settings in self._numbered()
            if wanted in (None, group)
            for value in _values(settings, key, subscript)
        ]
        if len(found) != 1:
            raise KeyError(name)
        return found[0]

    def _numbered(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        for name, value in self.items():
            groups = value if isinstance(value, list) else [value]
            for number, group in enumerate(groups, 1):
                if isinstance(group, Mapping):
                    yield (name if number == 1 else f"{name}({number})"), group
                else:  # a file without groups
                    yield "", self
                    return


def read_namelist(text: str) -> NamelistSettings:
    """Return the groups of a text; or its settings if it has no groups, like CESM's user_nl.

    Raises `NamelistError`, with the line, if it is not a namelist file.
    """
    whole = _with_group(text)
    groups = scan(whole)
    found = grouped((group.name, _settings(whole, group)) for group in groups)
    if whole != text:
        return NamelistSettings(found[groups[0].name][0])
    return NamelistSettings(
        {name: each if len(each) > 1 else each[0] for name, each in found.items()}
    )


def patch_namelist(text: str, settings: Mapping[str, object]) -> str:
    """Return a text with settings changed, added (if marked by `add`) or removed.

    Raises `NamelistError` for a name that is in no group or in several.
    """
    whole = _with_group(text)
    if whole == text:
        return _patched(text, settings)
    try:
        patched = _patched(whole, {_LAID_AROUND: settings})
    except NamelistError as error:
        raise NamelistError(str(error).replace(f"{_LAID_AROUND}.", "")) from None
    return patched.removeprefix(_HEAD).removesuffix(_TAIL)


def _patched(text: str, settings: Mapping[str, object]) -> str:
    numbered = numbered_groups(scan(text))
    given, added = _unmarked(settings)
    plain = {_full_name(numbered, name): value for name, value in given.items()}
    new_groups = {group_key(name.rpartition(".")[0]) for name in added} - numbered.keys()
    targets = find_targets(numbered, plain, new_groups)
    for target, name in zip(targets, given, strict=True):
        if not (name in added or isinstance(target.value, Removal)):
            _refuse_unknown(numbered, target)
    return patch_text(text, plain, new_groups)


def has_groups(text: str) -> bool:
    """Whether a text has namelist groups."""
    try:
        return bool(scan(text))
    except NamelistError:
        return False


def _with_group(text: str) -> str:
    """Return a text with groups; one without is wrapped in a group."""
    lines = text.splitlines()
    if scan(text) or not any(map(str.strip, lines)) or not all(map(_LINE.fullmatch, lines)):
        return text
    ending = "" if text.endswith("\n") else "\n"
    return f"{_HEAD}{text}{ending}{_TAIL}"


def _settings(text: str, group: Group) -> dict[str, object]:
    """Return a group's settings; arrays with all elements from 1 on become lists."""
    last = last_values(assignments(text, group))
    values = {key: one.value for key, one in last.items()}
    counts = Counter(one.name for one in last.values())
    found: dict[str, object] = {}
    for key, (name, given, value, _) in last.items():
        subscript = given or ("1" if key != name else "")
        if name in found and subscript.isdigit():
            continue
        elements = leading_elements(values, name) if subscript.isdigit() else []
        if elements and len(elements) == counts[name]:
            found[name] = elements
        else:
            found[key] = value
    return found


def _values(settings: Mapping[str, object], name: str, subscript: str) -> Iterator[object]:
    own = dict(settings)
    whole = own.get(name)
    items = whole if isinstance(whole, list) else [whole] if name in own else []
    elements = {f"{name}({place})": item for place, item in enumerate(items, 1)} | own
    key = f"{name}({subscript})" if subscript else name
    if key in elements:
        yield elements[key]
    elif section := leading_elements(elements, key):
        yield section


def _unmarked(settings: Mapping[str, object]) -> tuple[dict[str, object], set[str]]:
    """Return the settings by full name, and the names of those that may be new."""
    plain: dict[str, object] = {}
    added: set[str] = set()
    for key, given in settings.items():
        value = given.value if isinstance(given, Addition) else given
        inner = {key: value}
        if isinstance(value, Mapping):
            inner = {f"{key}.{name}": one for name, one in value.items()}
        for name, one in inner.items():
            if isinstance(given, Addition) or isinstance(one, Addition):
                added.add(name)
            plain[name] = one.value if isinstance(one, Addition) else one
    return plain, added


def _refuse_unknown(groups: Mapping[str, Group], target: SettingTarget) -> None:
    known = {setting.name for setting in target.group.settings} if target.group else set()
    if target.name not in known:
        message = unknown_setting(groups, target.key, target.name).partition("to add it")[0]
        raise NamelistError(f"{message}to add it, write add({{{target.key!r}: ...}})")


def _full_name(groups: Mapping[str, Group], written: str) -> str:
    """Return a name with its group, which may be left out if only one group has the name."""
    holder = "" if "." in written else only_holder(groups, written)
    return f"{holder}.{written}" if holder else written
