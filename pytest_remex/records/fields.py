"""Reads the fields of parsed JSON, each of the type that it must have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

Json: TypeAlias = Mapping[str, Any]
Kind = TypeVar("Kind")


def field(data: Json, name: str, kind: type[Kind]) -> Kind:
    """Return a field. Raises `ValueError` where it is missing or not of the type."""
    if name not in data:
        raise ValueError(f"it has no {name!r}")
    value = data[name]
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"{name!r} is {value!r:.60}, not {_TYPE_NAMES[kind]}")
    return value


_TYPE_NAMES: Mapping[type, str] = {
    str: "text", bool: "true or false", int: "a whole number", float: "a number",
    list: "a list", dict: "an object",
}  # fmt: skip


def optional(data: Json, name: str, kind: type[Kind]) -> Kind | None:
    """Return a field that may be null."""
    return None if name in data and data[name] is None else field(data, name, kind)


def json_object(data: Json, name: str) -> dict[str, Any]:
    """Return a field that holds an object."""
    return field(data, name, dict)


def texts(data: Json, name: str) -> tuple[str, ...]:
    """Return a field that holds a list of texts."""
    values = field(data, name, list)
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name!r} is {values!r:.60}, not a list of texts")
    return tuple(values)
