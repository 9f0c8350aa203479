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

from pytest_remex.config.files import ConfigText, Format, load, load_to_change, store
from pytest_remex.config.settings import Settings, add_all
from pytest_remex.errors import ConfigError
from pytest_remex.namelists.values import Removal

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
        text = _format(config).patch(config.text, settings)
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
        return _format(config).read(config.text)
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

    Returns:
        Settings, to be merged with others.

    Example:
        >>> patch_config("config.toml", {**experiment.config, **add({"output.every": 10})})

    """
    return add_all(settings)


def remove(*names: str) -> dict[str, Removal]:
    """Return settings for `patch_config` that take names out.

    Args:
        names: The names, as `patch_config` takes them. In a namelist the bare name of an array
            takes out all its elements.

    Returns:
        Settings, to be merged with others.

    Example:
        >>> patch_config("config.toml", {**experiment.config, **remove("output.every")})

    """
    return dict.fromkeys(names, Removal())


def _format(config: ConfigText) -> Format:
    if config.format is None:
        raise ConfigError(
            "its kind is not known: name it .yaml, .toml, .json, .json5, .ini or .nml, or write "
            "placeholders into it and use patch_text"
        )
    return config.format


def _inserted(placeholder: str, value: object) -> str:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigError(f"{placeholder} is {value!r}: give a number, or the text to be written")
    return str(value)
