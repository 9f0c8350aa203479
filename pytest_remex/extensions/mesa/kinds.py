"""Which kind of value a setting takes, as far as the values that stand in the file tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.arrays import elements, expand, is_quoted
from pytest_remex.extensions.mesa.namelist import line_at
from pytest_remex.extensions.mesa.values import format_value, kind_of, to_python

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_remex.extensions.mesa.namelist import Setting
    from pytest_remex.extensions.mesa.targets import Target
    from pytest_remex.extensions.mesa.values import Literal

_LARGEST = 2**31
"""Above what MESA's integers hold: `integer` is four bytes in all of its controls."""


class _Old(NamedTuple):
    """A value that stands in the file: its element, and the line."""

    place: str
    value: Literal
    line: int


def written(text: str, target: Target, settings: Iterable[Setting]) -> str:
    """Return the Fortran text of a target's value, of the kind of the values that stand there.

    `settings` are the statements of that name in the group. A float without a fraction is written
    without its point unless a real number stands there: a Fortran read takes `1000` into integers
    and reals, and `1000.0` into reals only. A placeholder such as `<<rate>>` has no kind.

    Raises `NamelistError` for a value of another kind, and for an element of a structure.
    """
    old = [_old(text, each) for each in settings]
    if any(len(_kinds(each)) > 1 for each in old) and target.subscript:
        raise NamelistError(
            f"{target.key}: {target.name} holds values of several kinds, a structure's: "
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


def _fitted(target: Target, known: list[_Old], new: object, place: str) -> object:
    """Return the value as it is to be written; refuse another kind than the one that is there."""
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
