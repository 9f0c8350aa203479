"""Set, add and remove settings in a namelist's text; all other characters stay; no I/O."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.errors import NamelistError
from pytest_remex.namelists.namelist import (
    SettingTarget,
    line_at,
    numbered_groups,
    scan,
    split_name,
)
from pytest_remex.namelists.values import Raw, Removal, expand, format_target, to_python

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from pytest_remex.namelists.namelist import Group, Setting

_GROUP_NAME = re.compile(r"(\w+?)\((\d+)\)", re.ASCII)
NAME = re.compile(
    r"\s*(?:([A-Za-z_]\w*(?:\s*\(\s*\d+\s*\))?)\s*\.\s*)?([A-Za-z_]\w*(?:\s*\([^()\n]+\)|\s*%\s*\w+)*)\s*",
    re.ASCII,
)
_INDENT = "   "
_BLANK = " \t"
_BEHIND = re.compile(r"[ \t]*[,;]?[ \t]*")
_ONE_AXIS = re.compile(r"[-+:\d]*", re.ASCII)
_LINE_END = re.compile(r"\r?\n")


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
    plain = "".join(match[2].split())  # gfortran reads no blank before a parenthesis or %
    return SettingTarget(holder, groups.get(holder), plain, name, subscript, value)


def _may_overlap(subscript: str, other: str) -> bool:
    return subscript == other or not (subscript and other) or ":" in subscript + other


def _listed(names: Iterable[str]) -> str:
    return " or ".join(names)


class TextEdit(NamedTuple):
    """Replace the characters `start` to `end` of a text."""

    start: int
    end: int
    new: str


def patch_text(text: str, settings: Mapping[str, object], new_groups: Container[str] = ()) -> str:
    """Return `text` with `settings` changed, added or removed.

    A missing group that is in `new_groups` is added at the end. A text without a final line break
    gets one: a Fortran read of its last group would fail otherwise.

    Raises `NamelistError`, which names the fix, if a name or value cannot be used.
    """
    groups = numbered_groups(scan(text))
    additions: dict[str, list[str]] = {}
    edits: list[TextEdit] = []
    for target in find_targets(groups, settings, new_groups):
        if isinstance(target.value, Removal):
            edits += _removals(text, groups, target)
            continue
        new = _new_value(text, target)
        if elements := _element_lines(text, target):
            line = f"{target.written} = {new}"
            edits.append(TextEdit(elements[0].start, elements[0].end, line))
            edits += [_removal(text, setting) for setting in elements[1:]]
        elif setting := _rewritable(text, target):
            edits.append(_replacement(setting, new))
        else:
            additions.setdefault(target.holder, []).append(f"{target.written} = {new}")
    missing = {name: lines for name, lines in additions.items() if name not in groups}
    edits += [
        _addition(text, groups[name], lines) for name, lines in additions.items() if name in groups
    ]
    patched = apply_edits(text, edits)
    if settings and patched and not patched.endswith("\n"):
        patched += _line_break(patched, 0)
    return patched + "".join(_new_group(text, name, lines) for name, lines in missing.items())


def _of_name(target: SettingTarget) -> list[Setting]:
    settings = target.group.settings if target.group else ()
    return [setting for setting in settings if setting.name == target.name]


def _places(text: str, setting: Setting) -> set[str]:
    """Return the elements that a setting assigns; a single value of a bare name is element 1."""
    return {one.subscript or "1" for one in expand(text, setting)}


def _is_element(subscript: str) -> bool:
    return bool(subscript) and ":" not in subscript


def _rewritable(text: str, target: SettingTarget) -> Setting | None:
    """Find the statement whose value can be replaced: it sets only this, and no later one does."""
    found: Setting | None = None
    for setting in _of_name(target):
        if setting.subscript == target.subscript:
            found = setting
        elif not _is_element(target.subscript) or target.subscript in _places(text, setting):
            found = None
    if found and _is_element(found.subscript) and _places(text, found) - {found.subscript}:
        return None
    return found


def _element_lines(text: str, target: SettingTarget) -> list[Setting]:
    """Return the statements that a list replaces: for `x` and two values `x(1) = 5`, `x(2) = 6`.

    There are none if a statement also sets an element that is not in the list, or if the array has
    several dimensions: the list is then written after them.
    """
    if target.subscript or not isinstance(target.value, list | tuple):
        return []
    listed = {str(place) for place in range(1, len(target.value) + 1)}
    given = {setting: _places(text, setting) for setting in _of_name(target)}
    touched = [setting for setting, places in given.items() if places & listed]
    simple = all(_ONE_AXIS.fullmatch(setting.subscript) for setting in given)
    if not simple or not any(setting.subscript for setting in touched):
        return []
    return touched if all(given[setting] <= listed for setting in touched) else []


def _replacement(setting: Setting, new: str) -> TextEdit:
    if not setting.items:
        return TextEdit(setting.equals, setting.equals, f" {new}")
    return TextEdit(setting.items[0].start, setting.end, new)


def _new_value(text: str, target: SettingTarget) -> str:
    """Format the value; refuse one that the simulation could not read into the variable."""
    new = format_target(text, target, _of_name(target))
    is_list = isinstance(target.value, list | tuple)
    items = target.value if isinstance(target.value, list | tuple) else [target.value]
    if any(isinstance(item, Raw) for item in items):
        _refuse_broken(target.key, new)
    if not (is_list or target.subscript or isinstance(target.value, Raw)):
        _refuse_whole_array(text, target)
    if target.subscript[:1] in ("", ":"):
        _refuse_unknown_start(text, target)
    return new


def _refuse_unknown_start(text: str, target: SettingTarget) -> None:
    for setting in _of_name(target):
        if (low := setting.low_index) is not None:
            raise NamelistError(
                f"{target.key} begins before element 1: line {line_at(text, setting.start)} sets "
                f"{setting.key}: name the elements, such as {target.name}({low}:3)"
            )


def _refuse_broken(key: str, new: str) -> None:
    """Refuse raw text that is not exactly one setting's value."""
    head = "&raw\nraw = "
    try:
        groups = scan(f"{head}{new}\n/\n")
        settings = [setting for group in groups for setting in group.settings]
    except NamelistError:
        settings = []
    if len(settings) != 1 or settings[0].end != len(head + new):
        raise NamelistError(f"{key}: {new!r} is not a Fortran value: give numbers or quoted text")


def _refuse_whole_array(text: str, target: SettingTarget) -> None:
    for setting in _of_name(target):
        if setting.subscript or len(_places(text, setting)) > 1:
            raise NamelistError(
                f"{target.key} is an array on line {line_at(text, setting.start)}: "
                f"name an element, {target.key}(1), or give a list"
            )


def _removals(text: str, groups: Mapping[str, Group], target: SettingTarget) -> Iterator[TextEdit]:
    """Remove all statements of a setting; a bare name also removes its elements."""
    of_name = _of_name(target)
    removed = [setting for setting in of_name if target.subscript in ("", setting.subscript)]
    if not removed:
        raise NamelistError(unknown_setting(groups, target.written, target.name))
    for setting in of_name:
        given = _places(text, setting)
        if target.subscript in given and (len(given) > 1 or setting not in removed):
            raise NamelistError(
                f"{target.key} is part of the list on line {line_at(text, setting.start)}: "
                f"give {setting.key} another list"
            )
    yield from (_removal(text, setting) for setting in removed)


def _removal(text: str, setting: Setting) -> TextEdit:
    """Remove a statement, and its lines if nothing else is on them."""
    line = text.rfind("\n", 0, setting.start) + 1
    behind = _BEHIND.match(text, setting.end)
    end = behind.end() if behind else setting.end
    rest = _LINE_END.match(text, end)
    if rest and not text[line : setting.start].strip():
        return TextEdit(line, rest.end(), "")
    return TextEdit(setting.start, end, "")


def _addition(text: str, group: Group, lines: list[str]) -> TextEdit:
    """Add lines at the end of the group, indented like its last setting that begins a line."""
    indent, line_break = _indent(text, group), _line_break(text, group.start)
    new = "".join(f"{indent}{line}{line_break}" for line in lines)
    begin = text.rfind("\n", 0, group.end) + 1
    if begin > group.start and not text[begin : group.end].strip():
        return TextEdit(begin, begin, new)
    return TextEdit(len(text[: group.end].rstrip(_BLANK)), group.end, line_break + new)


def _new_group(text: str, name: str, lines: list[str]) -> str:
    line_break = _line_break(text, 0)
    body = [f"&{name}", *(f"{_INDENT}{line}" for line in lines), "/"]
    return "".join(f"{line}{line_break}" for line in ["", *body])


def _indent(text: str, group: Group) -> str:
    for setting in reversed(group.settings):
        before = text[text.rfind("\n", 0, setting.start) + 1 : setting.start]
        if not before.strip():
            return before
    return _INDENT


def _line_break(text: str, position: int) -> str:
    """Return the line break that the text uses from `position` on."""
    found = text.find("\n", position)
    return "\r\n" if found > 0 and text[found - 1] == "\r" else "\n"


def apply_edits(text: str, edits: Iterable[TextEdit]) -> str:
    """Return a text with the edits made; of two that overlap, the second removes what is left."""
    pieces: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        pieces += text[position : edit.start], edit.new
        position = max(position, edit.end)
    return "".join(pieces) + text[position:]
