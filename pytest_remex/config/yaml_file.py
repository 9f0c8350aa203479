"""YAML, through ruamel.yaml, which finds the values; only their characters are changed."""

from __future__ import annotations

import functools
import math
import re
from datetime import date
from typing import TYPE_CHECKING

from pytest_remex.config.nodes import Dialect, Entry, Node, patch_nodes
from pytest_remex.config.settings import Change, unreadable
from pytest_remex.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ruamel.yaml import YAML
    from ruamel.yaml.nodes import Node as YamlNode

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
_ANCHOR = re.compile(r"(?:!\S*\s+)?&\S+\s+(?:!\S*\s+)?")
_ALIAS = re.compile(r"\s*:\s*(\*[^\s,\]}]+)")
_WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})
"""Words that some reader of YAML 1.1 or 1.2 does not read as text."""
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_PLANE = 1 << 16


def read_yaml(text: str) -> object:
    """Parse a YAML text; raises `ConfigError` if it is invalid."""
    parser = _parser()
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - an extra

    try:
        return parser.load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise unreadable("YAML", error, _worded(error)) from None


def patch_yaml(text: str, changes: Iterable[Change]) -> str:
    """Return a YAML text with the changes made; everything else is kept."""
    return patch_nodes(text, changes, Dialect(_parse, _written, _key))


def _worded(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    return f"line {mark.line + 1}: {problem}" if mark and problem else str(error).split("\n")[0]


def _parser() -> YAML:
    try:
        from ruamel.yaml import YAML  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError("YAML needs ruamel.yaml: pip install 'pytest-remex[yaml]'") from None
    return YAML(typ="safe", pure=True)


@functools.lru_cache(maxsize=8)
def _parse(text: str) -> Node:
    # All experiments of a sweep patch the same few texts.
    top = _parser().compose(text)
    if top is None:
        return Node(len(text), len(text), is_mapping=True, is_block=True)
    return _node(text, top, 0)


def _node(text: str, found: YamlNode, after: int) -> Node:
    """Convert a ruamel node to positions; an empty value is after the `:` of its key."""
    start, end = found.start_mark.index, found.end_mark.index
    if start == end:
        colon = text.find(":", after) + 1
        return Node(colon, colon)
    if prefix := _ANCHOR.match(text, start, end):
        start = prefix.end()
    value = found.value
    if not isinstance(value, list):
        return Node(start, len(text[:end].rstrip()))
    is_mapping = getattr(found, "id", "") == "mapping"
    pairs = value if is_mapping else enumerate(value)
    entries = tuple(_entry(text, key, one) for key, one in pairs)
    block = not getattr(found, "flow_style", True)
    return Node(start, end, entries, is_mapping=is_mapping, is_list=not is_mapping, is_block=block)


def _entry(text: str, key: YamlNode | int, found: YamlNode) -> Entry:
    if isinstance(key, int):
        return Entry(key, found.start_mark.index, _node(text, found, found.start_mark.index))
    start, behind = key.start_mark.index, key.end_mark.index
    alias = _ALIAS.match(text, behind) if found.start_mark.index < start else None
    node = Node(*alias.span(1)) if alias else _node(text, found, behind)
    return Entry(str(key.value), start, node)


def _written(value: object, name: str, old: str) -> str:
    """Format a value on one line, so that YAML 1.1 and 1.2 readers read the same value."""
    if isinstance(value, list):
        return "[" + ", ".join(_written(one, name, "") for one in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{_key(key)}: {_written(one, name, '')}" for key, one in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, str):
        return _text(value, old)
    if isinstance(value, float):
        return _float(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | date):
        return str(value)
    raise ConfigError(f"{name} is a {type(value).__name__}, which YAML cannot represent")


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    mantissa, mark, exponent = repr(value).partition("e")
    return f"{mantissa}{'' if '.' in mantissa or not mark else '.0'}{mark}{exponent}"


def _key(key: str) -> str:
    return _text(key, "")


def _text(text: str, old: str) -> str:
    if old[:1] == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    if old[:1] != '"' and _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < _PLANE else f"\\U{code:08x}"
