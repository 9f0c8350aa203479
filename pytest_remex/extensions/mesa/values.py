"""Fortran literals to Python values and back."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TypeAlias

from pytest_remex.errors import NamelistError

Literal: TypeAlias = str | int | float | bool

_REAL = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[deqDEQ]?([+-]\d+)|[deqDEQ](\d+))?", re.ASCII)
_SPECIAL = re.compile(r"[+-]?(?:inf(?:inity)?|nan)", re.IGNORECASE)
_LOGICAL = re.compile(r"\.([tf])\S*|(t|f|true|false)\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Raw:
    """Fortran text to write as it is.

    Example:
        >>> patch_inlist("inlist_project", {"varcontrol_target": Raw("1d-3")})
    """

    text: str


@dataclass(frozen=True, slots=True)
class Removal:
    """The mark, made by `remove`, of a setting to take out."""


def parse_literal(text: str) -> Literal:
    """Return the Python value of one Fortran literal.

    A word that is no number, logical or quoted text (a complex number is none) is returned as text.
    """
    first = text[0]
    if first in "'\"":
        return text[1:-1].replace(first * 2, first).replace("\n", "")
    if real := _REAL.fullmatch(text):
        mantissa, signed, unsigned = real.groups()
        if signed or unsigned or "." in mantissa:
            return float(f"{mantissa}e{signed or unsigned or 0}")
        return int(mantissa)
    if logical := _LOGICAL.fullmatch(text):
        return (logical[1] or logical[2])[0] in "tT"
    return float(text) if _SPECIAL.fullmatch(text) else text


def kind_of(value: Literal) -> str:
    """Name the kind of Fortran variable that takes `value`: number, logical or text."""
    if isinstance(value, bool):
        return "logical"
    return "text" if isinstance(value, str) else "number"


def format_value(name: str, value: object) -> str:
    """Write a Python value, or a list of them, as Fortran text on one line.

    A float is written with `repr`, which a Fortran read into a double gives back bit by bit.
    Raises `NamelistError`, naming the setting, for what no namelist can hold.
    """
    value = to_python(value)
    if isinstance(value, list | tuple):
        if not value:
            raise NamelistError(f"{name}: an empty list sets nothing: leave it out, or remove() it")
        return ", ".join(_format_scalar(name, to_python(item)) for item in value)
    return _format_scalar(name, value)


def to_python(value: object) -> object:
    """Turn numpy scalars and arrays, and paths, into plain Python values; return others."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    plain = getattr(value, "tolist", None)
    return plain() if callable(plain) else value


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
        case Real():
            return _format_real(name, float(value))
        case None:
            raise NamelistError(f"{name} is None: to take the setting out, use remove({name!r})")
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
            f"{name} is {value!r}: a Fortran text holds no line break: put it on one line"
        )
    return "'" + value.replace("'", "''") + "'"
