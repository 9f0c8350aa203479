"""Keep a column of values as text that spreadsheets read and that returns exactly.

A column is of one kind. None is an empty cell. Text that a spreadsheet would take for a formula
(it begins with `=`, `+`, `-`, `@`, a tab or a carriage return) gets an apostrophe in front, as
spreadsheets themselves write it, and so does text that begins with an apostrophe: `decode` takes
it off again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from pytest_remex.model import Value

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_LARGEST_INT = 2**63 - 1
_LARGEST_EXACT_FLOAT = 2**53


class Kind(StrEnum):
    """What a column holds; each but TEXT may also hold None."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    OPTIONAL_TEXT = "optional text"
    JSON = "json"


def kind_of(values: Sequence[Value]) -> Kind:
    """Find the narrowest kind that gives every value back; an empty column is one of floats.

    Whole numbers among floats become floats.
    """
    present = [value for value in values if value is not None]
    types = {type(value) for value in present}
    if types == {bool}:
        return Kind.BOOL
    if types == {int} and _largest(present) <= _LARGEST_INT:
        return Kind.INT
    if types <= {int, float} and _largest(present) <= _LARGEST_EXACT_FLOAT:
        return Kind.FLOAT
    if types != {str}:
        return Kind.JSON
    if len(present) == len(values):
        return Kind.TEXT
    return Kind.JSON if "" in present else Kind.OPTIONAL_TEXT


def encode(value: Value, kind: Kind) -> str:
    """Write a value as a cell's text."""
    if value is None:
        return ""
    if kind is Kind.JSON:
        return json.dumps(value, ensure_ascii=False)
    if kind is Kind.FLOAT and isinstance(value, int | float):
        return repr(float(value))
    return guard(value) if isinstance(value, str) else str(value)


def decode(text: str, kind: Kind) -> Value:
    """Read a cell's text back. Raises `ValueError` for text that is not of the kind."""
    if not text and kind is not Kind.TEXT:
        return None
    return _READERS[kind](text)


def guard(text: str) -> str:
    """Keep a spreadsheet from running text as a formula."""
    return "'" + text if text.startswith(_FORMULA) else text


def _largest(values: Sequence[Value]) -> int:
    return max((abs(value) for value in values if type(value) is int), default=0)


def _unguard(text: str) -> str:
    return text.removeprefix("'")


def _bool(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither True nor False")
    return text.lower() == "true"


_READERS: Mapping[Kind, Callable[[str], Value]] = {
    Kind.BOOL: _bool,
    Kind.INT: int,
    Kind.FLOAT: float,
    Kind.TEXT: _unguard,
    Kind.OPTIONAL_TEXT: _unguard,
    Kind.JSON: json.loads,
}
