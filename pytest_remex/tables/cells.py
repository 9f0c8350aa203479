"""Writes a column of values as text that spreadsheets read, and reads the same values back.

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
    """Return the narrowest kind that can hold every value; an empty column is one of floats.

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


def encode(values: Sequence[Value], kind: Kind) -> list[str]:
    """Return a column's values as the text of its cells."""
    write = _WRITERS[kind]
    return ["" if value is None else write(value) for value in values]


def decode(texts: Sequence[str], kind: Kind) -> list[Value]:
    """Return the values of a column's cells. Raises `ValueError` where one is not of the kind."""
    read = _READERS[kind]
    if kind is Kind.TEXT:
        return [read(text) for text in texts]
    return [read(text) if text else None for text in texts]


def guard(text: str) -> str:
    """Return text that a spreadsheet does not run as a formula."""
    return "'" + text if text.startswith(_FORMULA) else text


def _largest(values: Sequence[Value]) -> int:
    return max((abs(value) for value in values if type(value) is int), default=0)


def _unguard(text: str) -> str:
    return text.removeprefix("'")


def _bool(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither True nor False")
    return text.lower() == "true"


def _float(value: Value) -> str:
    return repr(float(value)) if isinstance(value, int | float) else str(value)


def _text(value: Value) -> str:
    return guard(str(value))


def _json(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)


_WRITERS: Mapping[Kind, Callable[[Value], str]] = {
    Kind.BOOL: str,
    Kind.INT: str,
    Kind.FLOAT: _float,
    Kind.TEXT: _text,
    Kind.OPTIONAL_TEXT: _text,
    Kind.JSON: _json,
}
_READERS: Mapping[Kind, Callable[[str], Value]] = {
    Kind.BOOL: _bool,
    Kind.INT: int,
    Kind.FLOAT: float,
    Kind.TEXT: _unguard,
    Kind.OPTIONAL_TEXT: _unguard,
    Kind.JSON: json.loads,
}
