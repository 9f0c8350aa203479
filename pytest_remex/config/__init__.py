"""Read and change config files of every kind: YAML, TOML, JSON, JSON5, INI-like, namelists.

A setting is named as in the file, with dots between sections: `physics.gamma`, `species[0].mass`;
its sections may be left out where only one place of the file has the name. A name that the file
lacks is refused, since it may be misspelt: `add` adds one, `remove` takes one out. Comments, order
and layout stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pytest_remex.config.files import ConfigText, load, load_to_change, store
from pytest_remex.config.settings import (
    Removal,
    Settings,
    add_all,
    changed_data,
    difference,
    find_changes,
    full_name,
    plain_data,
)
from pytest_remex.errors import ConfigError

__all__ = ["Settings", "add", "patch_config", "patch_text", "read_config", "remove"]


def patch_config(path: str | os.PathLike[str], settings: Mapping[str, object]) -> None:
    """Change settings of a config file; every other setting, comment and line stays.

    Args:
        path: The file. Its kind is told by its suffix, else by its content.
        settings: Values by name, such as `{"physics.gamma": 1.4}`, or mappings by section, such as
            `{"physics": {"gamma": 1.4}}`.

    Raises:
        ConfigError: The file cannot be read, a name is not in it or in several places, or the
            format cannot hold a value. The file is then as it was.

    Example:
        >>> patch_config("config.yaml", {"physics.gamma": 1.4, **add({"output.every": 10})})

    """
    config = load_to_change(Path(path))
    try:
        text = _patched(config, settings)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if text != config.text:
        store(config, text)


def read_config(path: str | os.PathLike[str]) -> Settings:
    """Read a config file of any kind.

    Args:
        path: The file. Its kind is told by its suffix, else by its content.

    Returns:
        What it holds, as nested dicts; `settings["physics.gamma"]` is found too.

    Raises:
        ConfigError: The file cannot be read, or is of no known kind.

    Example:
        >>> read_config("config.yaml")["physics"]["gamma"]
        1.4

    """
    config = load(Path(path))
    try:
        return Settings(_data(config, config.text))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def patch_text(path: str | os.PathLike[str], values: Mapping[str, object]) -> None:
    """Put values in the places of a template's placeholders.

    Args:
        path: The file, which becomes what the template makes.
        values: Numbers or texts by placeholder, as it is written in the file: `{"@MASS@": 10}`.

    Raises:
        ConfigError: A placeholder is missing, appears twice or lies within another one, or a value
            is neither number nor text. The file is then as it was.

    Example:
        >>> patch_text("in.melt", {"@TEMPERATURE@": 1.5, "@SEED@": 87287})

    """
    template = load_to_change(Path(path))
    places: list[tuple[int, str, str]] = []
    for placeholder, value in values.items():
        count = template.text.count(placeholder) if placeholder else 0
        if count != 1:
            how = f"appears {count} times" if count else "is not there"
            raise ConfigError(
                f"{path}: the placeholder {placeholder!r} {how}: it must be there exactly once"
            )
        places.append(
            (template.text.index(placeholder), placeholder, _inserted(placeholder, value))
        )
    pieces: list[str] = []
    position = 0
    for start, placeholder, value in sorted(places):
        if start < position:
            raise ConfigError(f"{path}: the placeholder {placeholder!r} overlaps another one")
        pieces += template.text[position:start], value
        position = start + len(placeholder)
    store(template, "".join(pieces) + template.text[position:])


def add(settings: Mapping[str, object]) -> dict[str, object]:
    """Return settings for `patch_config` that the file may lack, and that are then added to it.

    Args:
        settings: Values by name.

    Example:
        >>> patch_config("config.toml", {**experiment.config, **add({"output.every": 10})})

    """
    return add_all(settings)


def remove(*names: str) -> dict[str, Removal]:
    """Return settings for `patch_config` that take names out.

    Args:
        names: The names, as `patch_config` takes them.

    Example:
        >>> patch_config("config.toml", {**experiment.config, **remove("output.every")})

    """
    return dict.fromkeys(names, Removal())


def _patched(config: ConfigText, settings: Mapping[str, object]) -> str:
    """Return the patched text, once it is sure to hold what was asked for and nothing else new."""
    data = _data(config, config.text)
    changes = find_changes(data, settings)
    format_ = config.format
    if format_ is None or not changes:
        return config.text
    text = format_.patch(config.text, changes)
    try:
        found = _data(config, text)
    except ConfigError as error:
        raise ConfigError(f"{changes[0].name} cannot be changed in place: {error}") from None
    place = difference(changed_data(data, changes), found)
    if place is not None:
        raise ConfigError(
            f"{' and '.join(change.name for change in changes)} cannot be changed alone: "
            f"{full_name(place)} would change too, or not become what was asked for"
        )
    return text


def _data(config: ConfigText, text: str) -> dict[str, object]:
    if config.format is None:
        raise ConfigError(
            "its kind is not known: name it .yaml, .toml, .json, .json5, .ini or as a namelist, or "
            "write placeholders into it and use patch_text"
        )
    found = config.format.read(text)
    if found is None and config.format.name == "YAML":
        return {}
    if not isinstance(found, Mapping):
        raise ConfigError(f"it holds a {type(found).__name__} and no settings")
    return plain_data(found)


def _inserted(placeholder: str, value: object) -> str:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigError(f"{placeholder} is {value!r}: give a number, or the text to be written")
    return str(value)
