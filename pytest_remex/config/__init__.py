"""Read and change config files: YAML, TOML, JSON, JSON5, INI-like, Fortran namelists.

A setting is named as in the file, with dots between sections: `physics.gamma`, `species[0].mass`;
the sections can be left out if the name is unique in the file. A name that is not in the file is
refused, because it may be misspelt: use `add` to add a setting, `remove` to remove one. Comments,
order and layout are kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_remex.common.files import read_up_to
from pytest_remex.config.ini_file import patch_ini, read_ini
from pytest_remex.config.json_file import patch_json, patch_json5, read_json, read_json5
from pytest_remex.config.namelist_file import has_groups, patch_namelist, read_namelist
from pytest_remex.config.settings import (
    Change,
    Settings,
    add,
    find_changes,
    plain_data,
    refuse_other_changes,
)
from pytest_remex.config.toml_file import patch_toml, read_toml
from pytest_remex.config.yaml_file import patch_yaml, read_yaml
from pytest_remex.errors import ConfigError
from pytest_remex.known_files import overwrite_file
from pytest_remex.namelists.values import Removal, to_python

__all__ = ["Settings", "add", "patch_config", "patch_text", "read_config", "remove"]
_LARGEST = 1 << 25
_INI_LINE = re.compile(r"[ \t]*(?:\[[^\]\n]+\]|<[\w/ ]+>|[\w.%/ ()-]+[ \t]*=.*)[ \t]*")


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
    value = to_python(value)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ConfigError(f"{placeholder} is {value!r}: give a number, or the text to write")
    return str(value)


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its name, and its functions to read and patch texts."""

    name: str
    read: Callable[[str], Settings]
    patch: Callable[[str, Mapping[str, object]], str]


def _by_places(
    name: str, read: Callable[[str], object], change: Callable[[str, Iterable[Change]], str]
) -> Format:
    """Return a format of nested settings, whose changes are looked up in the data that is read."""

    def settings_of(text: str) -> Settings:
        found = read(text)
        if found is None and name == "YAML":  # a file with only comments
            found = {}
        if not isinstance(found, Mapping):
            raise ConfigError(f"it contains a {type(found).__name__}, not settings")
        return Settings(plain_data(found))

    def patch(text: str, asked: Mapping[str, object]) -> str:
        before = settings_of(text)
        changes = find_changes(before, asked)
        patched = change(text, changes) if changes else text
        refuse_other_changes(changes, before, lambda: settings_of(patched))
        return patched

    return Format(name, settings_of, patch)


YAML = _by_places("YAML", read_yaml, patch_yaml)
TOML = _by_places("TOML", read_toml, patch_toml)
JSON = _by_places("JSON", read_json, patch_json)
JSON5 = _by_places("JSON5", read_json5, patch_json5)
INI = _by_places("INI", read_ini, patch_ini)
NAMELIST = Format("namelist", read_namelist, patch_namelist)

_BY_SUFFIX: Mapping[str, Format] = {
    ".yaml": YAML, ".yml": YAML, ".toml": TOML, ".json": JSON, ".json5": JSON5, ".jsonc": JSON5,
    ".ini": INI, ".cfg": INI, ".conf": INI, ".par": INI, ".athinput": INI,
    ".nml": NAMELIST, ".namelist": NAMELIST,
}  # fmt: skip
_BY_START = {"athinput": INI, "user_nl": NAMELIST, "namelist": NAMELIST, "inlist": NAMELIST}


@dataclass(frozen=True, slots=True)
class ConfigText:
    """A config file's text, and how to encode it."""

    path: Path
    text: str
    encoding: str
    mark: str
    """The byte order mark at its start, or empty."""

    @property
    def format(self) -> Format | None:
        """The format, by the file's name, or else by its lines; None if unknown."""
        name = self.path.name.lower()
        starts = (known for start, known in _BY_START.items() if name.startswith(start))
        by_name = _BY_SUFFIX.get(self.path.suffix.lower()) or next(starts, None)
        if by_name:
            return by_name
        if has_groups(self.text):
            return NAMELIST
        lines = [line for line in self.text.splitlines() if line.strip()]
        settings = [line for line in lines if line.strip()[0] not in "#;"]
        return INI if settings and all(map(_INI_LINE.fullmatch, settings)) else None


def load(path: Path) -> ConfigText:
    """Read a config file; raises `ConfigError` if that fails."""
    try:
        with path.open("rb") as file:
            data = read_up_to(file, _LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: name a file of the checkout") from error
    if len(data) > _LARGEST:
        raise ConfigError(f"{path} has more than {_LARGEST} bytes: this is not a config file")
    try:
        text, encoding = data.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = data.decode("latin-1"), "latin-1"
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    return ConfigText(path, text.removeprefix(mark), encoding, mark)


def load_to_change(path: Path) -> ConfigText:
    """Read a config file that will be changed; raises `ConfigError` also for a link."""
    if path.is_symlink():
        raise ConfigError(f"{path} is a link to {path.readlink()}: name that file")
    return load(path)


def store(config: ConfigText, text: str) -> None:
    """Write a new text into the file; raises `ConfigError` if that fails."""
    try:
        data = (config.mark + text).encode(config.encoding)
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{config.path} is in {config.encoding}, which has no {error.object[error.start]!r}: "
            f"convert the file to UTF-8, or use another text"
        ) from None
    try:
        overwrite_file(str(config.path), data)
    except OSError as error:
        raise ConfigError(f"{config.path} cannot be written: {error.strerror}") from error
