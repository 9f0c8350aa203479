"""Convert Fortran literals to Python values and back, and find the array elements they go to.

A new value has the kind of the one that it replaces.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import re
from dataclasses import dataclass
from enum import Enum
from numbers import Integral, Real
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from pytest_remex.errors import NamelistError
from pytest_remex.namelists.namelist import line_at, split_name

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from pytest_remex.namelists.namelist import Group, Setting, SettingTarget

Literal: TypeAlias = str | int | float | bool | complex
T = TypeVar("T")

_REAL = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[deqDEQ]?([+-]\d+)|[deqDEQ](\d+))?", re.ASCII)
_COMPLEX = re.compile(r"\(\s*([^\s,]+)\s*,\s*([^\s,]+)\s*\)")
_SPECIAL = re.compile(r"[+-]?(?:inf(?:inity)?|nan(\(\w*\))?)", re.ASCII | re.IGNORECASE)
_LOGICAL = re.compile(r"\.([tf])\S*|(t|f|true|false)\.?", re.IGNORECASE)
_LONGEST_COUNT = 6
"""The most digits of a repeat count: no array of MESA has a million elements."""
_REPEAT = re.compile(r"(\d+)\*(.*)", re.DOTALL | re.ASCII)
_QUOTE = re.compile(r"(?:\d+\*)?['\"]", re.ASCII)
_SECTION = re.compile(r"([+-]?\d+)?:([+-]?\d+)?(?::([+-]?\d+))?", re.ASCII)
_LARGEST = 2**31
"""Too large for MESA's integers: `integer` has four bytes in all of its controls."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Fortran text to write unchanged.

    Args:
        text: The text, such as `1d-3`.

    Example:
        >>> patch_inlist("inlist_project", {"varcontrol_target": Raw("1d-3")})
    """

    text: str


@dataclass(frozen=True, slots=True)
class Removal:
    """Marks a setting to remove; made by `remove`."""


@functools.lru_cache(maxsize=1024)  # all experiments of a sweep have nearly the same values
def parse_literal(text: str) -> Literal:
    """Return the Python value of one Fortran literal.

    A word that is not a number, a logical or quoted text is returned unchanged.
    """
    first = text[0]
    if first in "'\"":
        return text[1:-1].replace(first * 2, first).replace("\r\n", "").replace("\n", "")
    number = parse_number(text)
    if number is not None:
        return number
    if logical := _LOGICAL.fullmatch(text):
        return (logical[1] or logical[2])[0] in "tT"
    if first == "(" and (pair := _COMPLEX.fullmatch(text)):
        parts = [parse_literal(part) for part in pair.groups()]
        numbers = [part for part in parts if isinstance(part, int | float)]
        return complex(*numbers) if len(numbers) == len(parts) else text
    return text


def parse_number(text: str) -> int | float | None:
    """Return the number that Fortran wrote, also as `1.25-105` or `-1d99`; None for other text."""
    if real := _REAL.fullmatch(text):
        mantissa, signed, unsigned = real.groups()
        if signed or unsigned or "." in mantissa:
            return float(f"{mantissa}e{signed or unsigned or 0}")
        return int(mantissa)
    return float(text.partition("(")[0]) if _SPECIAL.fullmatch(text) else None


def kind_of(value: Literal) -> str:
    """Return the kind of Fortran variable for `value`: number, complex number, logical or text."""
    if isinstance(value, bool):
        return "logical"
    if isinstance(value, complex):
        return "complex number"
    return "text" if isinstance(value, str) else "number"


def format_value(name: str, value: object) -> str:
    """Format a Python value, or a list of values, as Fortran text on one line.

    Floats are written with `repr`; Fortran reads the same bits back into a double. Raises
    `NamelistError`, which names the setting, for a value that a namelist cannot hold.
    """
    value = to_python(value)
    if isinstance(value, list | tuple):
        if not value:
            raise NamelistError(f"{name}: an empty list sets nothing: leave it out, or remove() it")
        return ", ".join(_format_scalar(name, to_python(item)) for item in value)
    return _format_scalar(name, value)


def to_python(value: object) -> object:
    """Convert numpy's values, paths, and members of enums of text or numbers to plain values."""
    if isinstance(value, Enum) and isinstance(value, str | int | float):
        return _of_member(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    plain = getattr(value, "tolist", None)
    return plain() if callable(plain) else value


def _of_member(member: str | float) -> str | float:
    match member:
        case str():
            return str.__str__(member)  # str() returns the member's name
        case int():
            return int.__int__(member)
    return float.__float__(member)


def _format_scalar(name: str, value: object) -> str:
    match value:
        case Raw():
            return value.text
        case bool():
            return ".true." if value else ".false."
        case str():
            return _quote(name, value)
        case Integral():
            return str(int(value))
        case complex():
            parts = (_format_real(name, part) for part in (value.real, value.imag))
            return f"({', '.join(parts)})"
        case Real():
            return _format_real(name, float(value))
        case None:
            raise NamelistError(f"{name} is None: to remove the setting, use remove({name!r})")
        case _:
            raise NamelistError(
                f"{name} is a {type(value).__name__}: give a number, a text, a bool, a list of "
                f'them, or Raw("...")'
            )


def _format_real(name: str, value: float) -> str:
    if not math.isfinite(value):
        raise NamelistError(f"{name} is {value}: a simulation takes finite numbers")
    return repr(value)


def _quote(name: str, value: str) -> str:
    if any(character in value for character in "\n\r\0"):
        raise NamelistError(
            f"{name} is {value!r}: a Fortran string cannot contain a line break: use one line"
        )
    return "'" + value.replace("'", "''") + "'"


class Assignment(NamedTuple):
    """One value that is assigned to a variable or element, and its position in the text."""

    name: str
    subscript: str
    value: Literal
    position: int


def assignments(text: str, group: Group) -> list[Assignment]:
    """Return every value that `group` sets, in the order of the text, one per element.

    An array given by its bare name, or a section without a start, begins at 1, which is Fortran's
    default, or at the lowest index below 1 that the group uses. Raises `NamelistError` if a section
    has more values than elements.
    """
    lows: dict[str, int] = {}
    for setting in group.settings:
        if (low := setting.low_index) is not None:
            lows[setting.name] = min(low, lows.get(setting.name, 0))
    found: list[Assignment] = []
    for setting in group.settings:
        if setting.name in lows and setting.subscript[:1] in ("", ":"):
            section = f"{lows[setting.name]}{setting.subscript or ':'}"
            found += expand(text, setting._replace(subscript=section))
        else:
            found += expand(text, setting)
    return found


def expand(text: str, setting: Setting) -> Iterable[Assignment]:
    """Return the values that one setting sets, one per element; a placeholder is one value."""
    if len(setting.items) == 1 and ":" not in setting.subscript:
        start, end = setting.items[0]
        literal = text[start:end]
        repeat = _REPEAT.fullmatch(literal) if "*" in literal else None
        if repeat is None or (repeat[2] and repeat[1].lstrip("0") == "1"):
            value = parse_literal(repeat[2] if repeat else literal)
            return (Assignment(setting.name, setting.subscript, value, start),)
    whole = text[setting.items[0].start : setting.end] if setting.items else ""
    if is_placeholder(text, setting) and "," not in whole:
        return (Assignment(setting.name, setting.subscript, whole, setting.items[0].start),)
    return _expand_list(text, setting)


def is_placeholder(text: str, setting: Setting) -> bool:
    """Whether a setting has a template's placeholder, such as `<<rate>>` or `{{ rate }}`."""
    literals = [text[start:end] for start, end in setting.items]
    return bool(literals) and all(is_bare(literal) for literal in literals)


def is_quoted(text: str, position: int) -> bool:
    """Whether the literal at `position` is text in quotes, with or without a repeat count."""
    return _QUOTE.match(text, position) is not None


def is_bare(literal: str) -> bool:
    """Whether a literal is an unquoted word that is neither a number nor a logical."""
    if not literal or is_quoted(literal, 0):
        return False
    repeat = _REPEAT.fullmatch(literal)
    value = repeat[2] if repeat else literal
    return bool(value) and isinstance(parse_literal(value), str)


def last_values(given: Iterable[Assignment]) -> dict[str, Assignment]:
    """Return the last assignment of each variable or element, by its name in users' notation.

    A single value of a bare name is element 1 if other elements are set too.
    """
    known = list(given)
    arrays = {one.name for one in known if one.subscript}
    return {key_of(one.name, one.subscript, arrays): one for one in known}


def key_of(name: str, subscript: str, arrays: Container[str]) -> str:
    """Name a variable or element in users' notation; a bare name in `arrays` is element 1."""
    if not subscript:
        return f"{name}(1)" if name in arrays else name
    return f"{name}({subscript})"


def is_split(text: str, setting: Setting) -> bool:
    """Whether gfortran may assign a list on several lines to other elements than other compilers.

    With a comment after a comma, or a comma at the start of a line, gfortran 12 counts a null more.
    """
    gaps = itertools.pairwise(setting.items)
    between = (text[first.end : second.start] for first, second in gaps)
    return any(re.search(r",[ \t]*!|\n\s*,", gap) for gap in between)


def elements(subscript: str) -> Iterator[str]:
    """Return the elements of a subscript in Fortran's order: `2:4` is 2, 3, 4; `6` is 6, 7, ...

    If one element gets several values, gfortran continues with the next elements.
    """
    axes = [_axis(part, first=not number) for number, part in enumerate(subscript.split(","))]
    if None in axes:
        return iter((subscript,))
    return _product([axis for axis in axes if axis is not None])


def _expand_list(text: str, setting: Setting) -> Iterator[Assignment]:
    places = elements(setting.subscript or ":")
    for literal, position in _repeated((text[start:end], start) for start, end in setting.items):
        place = next(places, None)
        if place is None:
            raise NamelistError(
                f"line {line_at(text, position)}: {setting.key} has more values than places"
            )
        if literal:
            yield Assignment(setting.name, place, parse_literal(literal), position)


def _repeated(values: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    for literal, position in values:
        if repeat := _REPEAT.fullmatch(literal):
            if len(repeat[1]) > _LONGEST_COUNT:
                most = 10**_LONGEST_COUNT - 1
                raise NamelistError(f"{literal} repeats a value too often: at most {most} times")
            yield from itertools.repeat((repeat[2], position), int(repeat[1]))
        else:
            yield literal, position


def leading_elements(values: Mapping[str, T], key: str) -> list[T]:
    """Return the values of a section's elements, or an array's from 1 on, up to the first gap.

    An array with an element 0 has no values by its bare name: its first index is unknown.

    Example:
        >>> leading_elements({"x(1)": 5, "x(2)": 6, "x(4)": 8}, "x")
        [5, 6]
        >>> leading_elements({"x(1)": 5, "x(2)": 6, "x(3)": 7}, "x(2:3)")
        [6, 7]

    """
    name, subscript = split_name(key)
    first, low = f"{name}(1)" in values, f"{name}(0)" in values
    if not (":" in subscript if subscript else first and not low):
        return []
    keys = (f"{name}({place})" for place in elements(subscript or ":"))
    return [values[each] for each in itertools.takewhile(values.__contains__, keys)]


def _axis(part: str, *, first: bool) -> Iterable[int] | None:
    """Return the indices along one dimension; None if the subscript is not a number."""
    if section := _SECTION.fullmatch(part):
        start, stop, step = (int(bound) if bound else None for bound in section.groups())
        stride = step or 1
        begin = 1 if start is None else start
        if stop is None:
            return itertools.count(begin, stride)
        return range(begin, stop + (1 if stride > 0 else -1), stride)
    if not re.fullmatch(r"[+-]?\d+", part, re.ASCII):
        return None
    return itertools.count(int(part)) if first else (int(part),)


def _product(axes: list[Iterable[int]]) -> Iterator[str]:
    """Yield all combinations of indices, the first dimension fastest."""
    if len(axes) == 1:
        yield from map(str, axes[0])
        return
    for rest in _product(axes[1:]):
        for place in axes[0]:
            yield f"{place},{rest}"


class _Old(NamedTuple):
    """A value in the file: its element, and its line."""

    place: str
    value: Literal
    line: int


def format_target(text: str, target: SettingTarget, settings: Iterable[Setting]) -> str:
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
