"""Set, add and remove settings in a namelist's text; all other characters stay; no I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.errors import NamelistError
from pytest_remex.namelists.namelist import line_at, scan
from pytest_remex.namelists.targets import find_targets, numbered_groups, unknown_setting
from pytest_remex.namelists.values import (
    Raw,
    Removal,
    elements,
    expand,
    format_value,
    is_quoted,
    kind_of,
    to_python,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from pytest_remex.namelists.namelist import Group, Setting
    from pytest_remex.namelists.targets import SettingTarget
    from pytest_remex.namelists.values import Literal

_INDENT = "   "
_BLANK = " \t"
_BEHIND = re.compile(r"[ \t]*,?[ \t]*")
_ONE_AXIS = re.compile(r"[-+:\d]*", re.ASCII)
_LINE_END = re.compile(r"\r?\n")
_LARGEST = 2**31
"""Too large for MESA's integers: `integer` has four bytes in all of its controls."""


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
    if settings:
        patched = _with_last_line_break(patched)
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
    new = written(text, target, _of_name(target))
    is_list = isinstance(target.value, list | tuple)
    items = target.value if isinstance(target.value, list | tuple) else [target.value]
    if any(isinstance(item, Raw) for item in items):
        _refuse_broken(target.key, new)
    if not (is_list or target.subscript or isinstance(target.value, Raw)):
        _refuse_whole_array(text, target)
    return new


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


def _with_last_line_break(text: str) -> str:
    return text if text.endswith("\n") or not text else text + _line_break(text, 0)


def apply_edits(text: str, edits: Iterable[TextEdit]) -> str:
    """Return a text with the edits made; of two that overlap, the second removes what is left."""
    pieces: list[str] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        pieces += text[position : edit.start], edit.new
        position = max(position, edit.end)
    return "".join(pieces) + text[position:]


class _Old(NamedTuple):
    """A value in the file: its element, and its line."""

    place: str
    value: Literal
    line: int


def written(text: str, target: SettingTarget, settings: Iterable[Setting]) -> str:
    """Return the Fortran text of a target's value, of the same kind as the existing values.

    `settings` are the statements of that name in the group. A float without a fraction is written
    without a decimal point, unless the existing value is real: Fortran reads `1000` into integers
    and reals, but `1000.0` only into reals. A placeholder such as `<<rate>>` has no kind.

    Raises `NamelistError` for a value of another kind, and for an element of a structure.
    """
    old = [_old(text, each) for each in settings]
    if any(len(_kinds(each)) > 1 for each in old) and target.subscript:
        raise NamelistError(
            f"{target.key}: {target.name} has values of several kinds, like a structure: "
            f"give {target.holder}.{target.name} a list of all of them"
        )
    known = [one for each in old for one in each]
    if not isinstance(target.value, list | tuple):
        return format_value(target.key, _fitted(target, known, target.value, target.subscript))
    places = elements(target.subscript or ":")
    items = [to_python(item) for item in target.value]
    fitted = [_fitted(target, known, item, next(places, "")) for item in items]
    return format_value(target.key, fitted)


def _old(text: str, setting: Setting) -> list[_Old]:
    return [
        _Old(one.subscript or "1", one.value, line_at(text, one.position))
        for one in expand(text, setting)
        if not isinstance(one.value, str) or is_quoted(text, one.position)
    ]


def _kinds(known: Iterable[_Old]) -> set[str]:
    return {kind_of(one.value) for one in known}


def _fitted(target: SettingTarget, known: list[_Old], new: object, place: str) -> object:
    """Return the value to write; refuse one of another kind than the existing value."""
    if not isinstance(new, str | int | float):
        return new
    if len(_kinds(known)) > 1:
        known = [one for one in known if one.place == (place or "1")]
    for one in known:
        if kind_of(one.value) != kind_of(new):
            raise NamelistError(
                f"{target.key} is a {kind_of(one.value)} on line {one.line}, and {new!r} a "
                f'{kind_of(new)}: give a {kind_of(one.value)}, or Raw("...")'
            )
    real = any(isinstance(one.value, float) for one in known)
    whole = isinstance(new, float) and new.is_integer() and abs(new) < _LARGEST
    return int(new) if isinstance(new, float) and whole and not real else new
