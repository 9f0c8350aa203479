"""Read and change config files: YAML, TOML, JSON, JSON5, INI-like, Fortran namelists.

A setting is named as in the file, with dots between sections: `physics.gamma`, `species[0].mass`;
the sections can be left out if the name is unique in the file. A name that is not in the file is
refused, because it may be misspelt: use `add` to add a setting, `remove` to remove one. Comments,
order and layout are kept.
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
    """Change settings of a config file; every other setting, comment and line is kept.

    Args:
        path: The file. Its format is recognized by its suffix, or else by its content.
        settings: Values by name, such as `{"physics.gamma": 1.4}`, or mappings by section, such as
            `{"physics": {"gamma": 1.4}}`.

    Raises:
        ConfigError: The file cannot be read, a name is not in it or is ambiguous, or the format
            cannot represent a value. The file is then unchanged.

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
    """Read a config file of any supported format.

    Args:
        path: The file. Its format is recognized by its suffix, or else by its content.

    Returns:
        Its content as nested dicts; dotted names such as `settings["physics.gamma"]` work too.

    Raises:
        ConfigError: The file cannot be read, or its format is unknown.

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
    """Replace the placeholders of a template by values.

    Args:
        path: The file with the placeholders; it is changed in place.
        values: Numbers or texts by placeholder, spelled as in the file: `{"@MASS@": 10}`.

    Raises:
        ConfigError: A placeholder is missing, appears twice or overlaps another one, or a value is
            neither a number nor text. The file is then unchanged.

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
                f"{path}: the placeholder {placeholder!r} {how}: it must appear exactly once"
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
    """Mark settings for `patch_config` as new, so that they are added if the file lacks them.

    Args:
        settings: Values by name.

    Returns:
        Settings, to merge with others.

    Example:
        >>> patch_config("config.toml", {**experiment.config, **add({"output.every": 10})})

    """
    return add_all(settings)


def remove(*names: str) -> dict[str, Removal]:
    """Return settings for `patch_config` that remove names.

    Args:
        names: The names, as for `patch_config`. In a namelist the bare name of an array removes
            all its elements.

    Returns:
        Settings, to merge with others.

    Example:
        >>> patch_config("config.toml", {**experiment.config, **remove("output.every")})

    """
    return dict.fromkeys(names, Removal())


def _format(config: ConfigText) -> Format:
    if config.format is None:
        raise ConfigError(
            "its format is not known: name it .yaml, .toml, .json, .json5, .ini or .nml, or write "
            "placeholders into it and use patch_text"
        )
    return config.format


def _inserted(placeholder: str, value: object) -> str:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigError(f"{placeholder} is {value!r}: give a number, or the text to write")
    return str(value)
