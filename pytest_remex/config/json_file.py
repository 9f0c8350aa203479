"""JSON and JSON5, edited at the positions of values; comments and layout are kept.

JSON is read by the standard library, JSON5 and JSON with comments by json5.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pytest_remex.config.nodes import Dialect, Entry, Node, patch_nodes
from pytest_remex.config.settings import Change, unreadable
from pytest_remex.errors import ConfigError

_TOKEN = re.compile(
    r"""(?:\s+|//[^\n]*|/\*.*?\*/)*+
    (?:("(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+')   # 1 text
      |([{}\[\],:])                              # 2 punctuation
      |([^\s{}\[\],:"'/]+))                      # 3 number or word
    """,
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    start: int
    end: int
    text: str


def read_json(text: str) -> object:
    """Parse a JSON text; raises `ConfigError` if it is invalid."""
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise unreadable("JSON", error) from None


def read_json5(text: str) -> object:
    """Parse a JSON5 text; raises `ConfigError` if it is invalid."""
    try:
        import json5  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError("JSON5 needs json5: pip install 'pytest-remex[json5]'") from None
    try:
        return json5.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise unreadable("JSON5", error) from None


def patch_json(text: str, changes: Iterable[Change]) -> str:
    """Return a JSON text with the changes made."""
    return patch_nodes(text, changes, _dialect(_written))


def patch_json5(text: str, changes: Iterable[Change]) -> str:
    """Return a JSON5 text with the changes made."""
    return patch_nodes(text, changes, _dialect(_written5))


def _dialect(write: Callable[[object, str, str], str]) -> Dialect:
    return Dialect(_parse, write, functools.partial(json.dumps, ensure_ascii=False))


def _without_repeats(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigError(f"{key!r} appears twice in one object: keep only one")
        found[key] = value
    return found


@functools.lru_cache(maxsize=8)
def _parse(text: str) -> Node:
    """Find the positions of values; the text has been parsed before and is known to be valid."""
    found = ((match, match.lastindex or 0) for match in _TOKEN.finditer(text))
    tokens = [_Token(*match.span(group), match[group]) for match, group in found]
    return _value(tokens[::-1])


def _value(tokens: list[_Token]) -> Node:
    """Pop the tokens of a value from the end of the list."""
    opened = tokens.pop()
    if opened.text not in ("{", "["):
        return Node(opened.start, opened.end)
    is_mapping = opened.text == "{"
    entries: list[Entry] = []
    while tokens[-1].text not in ("}", "]"):
        start, key = tokens[-1].start, _key(tokens) if is_mapping else len(entries)
        entries.append(Entry(key, start, _value(tokens)))
        if tokens[-1].text == ",":
            tokens.pop()
    end = tokens.pop().end
    return Node(opened.start, end, tuple(entries), is_mapping=is_mapping, is_list=not is_mapping)


def _key(tokens: list[_Token]) -> str:
    written = tokens.pop().text
    tokens.pop()  # the colon
    if written[0] == '"':
        return str(json.loads(written, strict=False))
    if written[0] == "'" or "\\" in written:
        return next(iter(dict(read_json5(f"{{{written}: 0}}"))))  # type: ignore[call-overload, no-any-return]
    return written


def _written(value: object, name: str, _old: str) -> str:
    """Format a value as JSON on one line."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(one, float) and not math.isfinite(one) for one in numbers):
            raise ConfigError(f"{name} is {value}, which JSON cannot represent") from None
        raise ConfigError(f"{name} is {value!r}, which JSON cannot represent") from None


def _written5(value: object, name: str, _old: str) -> str:
    """Format a value as JSON5 on one line; JSON5 also has infinities and nan."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        raise ConfigError(f"{name} is {value!r}, which JSON5 cannot represent") from None
