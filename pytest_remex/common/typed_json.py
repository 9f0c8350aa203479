"""Convert JSON to typed, frozen objects and back, for the connection and for files.

A type is a `typing.NamedTuple`; its fields are text, numbers, booleans, `Optional`, `List`, `Tuple`
of one type, `Dict[str, ...]`, other such types, or `Any` for arbitrary JSON. Unknown fields are
ignored, so that a newer release can add fields to the same format; a missing one gets its default.
"""

import functools
import json
from enum import Enum
from typing import Any, Callable, Dict, List, Mapping, Tuple, Type, TypeVar, Union, get_type_hints

FORMAT = "format"
"""The field that holds a file's format version."""
LARGEST = 1 << 80
"""The largest number that is read: larger ones, and NaN, cannot be summed or formatted safely."""

_PLAIN = frozenset((str, int, float, bool, type(None)))
"""The types that need no conversion: most values of a request with a thousand runs."""

_NUMBERS = frozenset((int, float))
_TYPE_NAMES: Mapping[type, str] = {
    str: "text", bool: "true or false", int: "a whole number", float: "a number",
    list: "a list", dict: "an object",
}  # fmt: skip

Plain = TypeVar("Plain")
Typed = TypeVar("Typed")
_Reader = Callable[[Any, str], Any]


class TypedJsonError(ValueError):
    """A value does not have the expected type; the message names the field."""


class NewerFormatError(TypedJsonError):
    """A file was written by a newer release, in a format that this one does not know."""


def from_json(kind: Type[Typed], data: Any) -> Typed:  # noqa: ANN401 - any JSON may come
    """Return what `json.loads` returned as a `kind`, a NamedTuple class.

    Raises:
        TypedJsonError: A field is missing or of another type; the message names it.

    """
    hashable: Any = kind
    reader: Callable[[Any, str], Typed] = _reader(hashable)
    return reader(data, kind.__name__)


def to_json(value: Any) -> Any:  # noqa: ANN401 - a NamedTuple, or anything inside one
    """Return a typed object in a form that `json.dumps` accepts."""
    if type(value) in _PLAIN:
        return value
    if hasattr(value, "_fields"):
        return {name: to_json(each) for name, each in value._asdict().items()}
    if isinstance(value, (list, tuple)):
        return [to_json(each) for each in value]
    if isinstance(value, dict):
        return {name: to_json(each) for name, each in value.items()}
    return value


def plain(value: Any, kind: Type[Plain], name: str) -> Plain:  # noqa: ANN401 - any JSON may come
    """Return parsed JSON of one of JSON's own types; for a float it may also be a whole number.

    Args:
        value: What `json.loads` returned, or a part of it.
        kind: str, bool, int, float, list or dict.
        name: The field that has the value, for the message.

    Raises:
        TypedJsonError: The value is of another type, or a number that is too large.

    """
    found: type = type(value)
    if found in _NUMBERS:
        if not -LARGEST <= value <= LARGEST:
            raise TypedJsonError(f"{name!r} is not a number that can be meant")
        found = kind if kind is float else found
    if found is not kind:
        raise TypedJsonError(f"{name!r} is {value!r:.60}, not {_TYPE_NAMES[kind]}")
    checked: Plain = value
    return checked


def loads(kind: Type[Typed], text: str, newest: int) -> Typed:
    """Parse the text of a file as a `kind`; a file without a version has format 1.

    Raises:
        NewerFormatError: The file's version is above `newest`.
        TypedJsonError: The text is not JSON, or a field is missing or of another type.

    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TypedJsonError(f"it is not JSON ({error})") from error
    version = data.get(FORMAT, 1) if isinstance(data, dict) else 1
    if plain(version, int, FORMAT) > newest:
        raise NewerFormatError(
            f"it is of format {version}, but this release of pytest-remex reads up to {newest}: "
            f"upgrade pytest-remex"
        )
    return from_json(kind, data)


def dumps(value: Any, version: int) -> str:  # noqa: ANN401 - any NamedTuple
    """Return the text of a file with a typed object and its format version."""
    return json.dumps({FORMAT: version, **to_json(value)}) + "\n"


@functools.lru_cache(maxsize=None)
def _reader(kind: Any) -> _Reader:  # noqa: ANN401 - a type, of which typing has no common one
    """Return the function that checks and converts values of a type; cached for each type."""
    if kind is Any:
        return lambda value, _where: value
    if hasattr(kind, "_fields"):
        return _object_reader(kind)
    origin: Any = getattr(kind, "__origin__", None)
    arguments: List[Any] = list(getattr(kind, "__args__", None) or ())
    if origin is Union:
        (inner,) = [_reader(each) for each in arguments if each is not type(None)]
        return lambda value, where: None if value is None else inner(value, where)
    # typing.List itself is the origin on Python 3.6
    if origin in (list, List, tuple, Tuple):
        make: Callable[[List[Any]], Any] = tuple if origin in (tuple, Tuple) else list
        return _list_reader(_reader(arguments[0]), make)
    if origin in (dict, Dict):
        return _dict_reader(_reader(arguments[1]))
    return _plain_reader(kind)


def _object_reader(kind: Any) -> _Reader:  # noqa: ANN401 - a NamedTuple class
    readers = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}
    defaults = kind._field_defaults

    def read(value: Any, where: str) -> Any:  # noqa: ANN401 - any JSON
        data = plain(value, dict, where)
        found = {}
        for name, reader in readers.items():
            if name in data:
                found[name] = reader(data[name], name)
            elif name not in defaults:
                raise TypedJsonError(f"{where!r} has no {name!r}")
        return kind(**found)

    return read


def _list_reader(inner: _Reader, make: Callable[[List[Any]], Any]) -> _Reader:
    def read(value: Any, where: str) -> Any:  # noqa: ANN401 - any JSON
        return make([inner(each, where) for each in plain(value, list, where)])

    return read


def _dict_reader(inner: _Reader) -> _Reader:
    def read(value: Any, where: str) -> Dict[str, Any]:  # noqa: ANN401 - any JSON
        return {name: inner(each, where) for name, each in plain(value, dict, where).items()}

    return read


def _plain_reader(kind: type) -> _Reader:
    if issubclass(kind, Enum):
        return lambda value, where: kind(plain(value, str, where))
    return lambda value, where: plain(value, kind, where)
