"""TOML: read by the standard library, and changed by tomlkit, which keeps comments and layout."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from pytest_remex.config.settings import Change, unreadable
from pytest_remex.errors import ConfigError

_BITS = 63
"""TOML's integers have 64 bits, one of them for the sign."""


def read_toml(text: str) -> object:
    """Parse a TOML text; raises `ConfigError` if it is invalid."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise unreadable("TOML", error) from None


def patch_toml(text: str, changes: Iterable[Change]) -> str:
    """Return a TOML text with the changes made."""
    try:
        import tomlkit  # noqa: PLC0415 - an extra
        from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError("changing TOML needs tomlkit: pip install 'pytest-remex[toml]'") from None
    document = tomlkit.parse(text)
    for change in changes:
        _refuse_unknown_values(change.value, change.name)
        try:
            _change(document, change)
        except (TOMLKitError, TypeError, ValueError) as error:
            raise ConfigError(f"{change.name} cannot be changed in TOML: {error}") from None
    return tomlkit.dumps(document)


def _change(document: MutableMapping[str, object], change: Change) -> None:
    holder: Any = document
    *above, last = change.place
    for key in above:
        if isinstance(holder, MutableMapping) and key not in holder:
            holder[key] = {}
        holder = holder[key]
    if change.removes:
        if isinstance(last, int):
            raise ConfigError(f"{change.name} cannot be removed on its own: give the whole list")
        del holder[last]
    else:
        holder[last] = change.value


def _refuse_unknown_values(value: object, name: str) -> None:
    if value is None:
        raise ConfigError(f"{name} is None, which TOML cannot represent: use remove({name!r})")
    if isinstance(value, int) and value.bit_length() > _BITS:
        raise ConfigError(f"{name} is {value}, too large for TOML's 64 bits: give a float")
    if isinstance(value, list | tuple):
        for number, one in enumerate(value):
            _refuse_unknown_values(one, f"{name}[{number}]")
    if isinstance(value, Mapping):
        for key, one in value.items():
            _refuse_unknown_values(one, f"{name}.{key}")
