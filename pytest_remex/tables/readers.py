"""The readers of plain kinds of file, for `run.read(name)`: the last to be asked."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

from pytest_remex.errors import RemexError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def read(path: Path) -> object | None:
    """Read a file by its suffix, in any case; None for a kind that is not known.

    A CSV becomes a DataFrame; JSON, TOML and YAML what they hold; text and logs a string; pictures
    and documents stay a path. Raises `RemexError` where the file is not of its kind, and for YAML
    where PyYAML is not installed.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        return None
    try:
        return reader(path)
    except (ValueError, OSError) as error:
        raise RemexError(
            f"{path} cannot be read as {path.suffix}: {error}; see what the job wrote"
        ) from error


def _table(path: Path) -> object:
    # pandas takes half a second to load.
    from pytest_remex.tables.frame import read_csv  # noqa: PLC0415 - see above

    return read_csv(path)


def _json(path: Path) -> object:
    return json.loads(path.read_text("utf-8-sig"))


def _toml(path: Path) -> object:
    return tomllib.loads(path.read_text("utf-8-sig"))


def _yaml(path: Path) -> object:
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError:
        raise RemexError(
            f"{path} is YAML: pip install 'pytest-remex[yaml]' to have it read"
        ) from None
    try:
        return yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise ValueError(error) from error


def _text(path: Path) -> object:
    return path.read_text("utf-8", "replace")


def _path(path: Path) -> object:
    return path


_READERS: Mapping[str, Callable[[Path], object]] = {
    ".csv": _table,
    ".json": _json,
    ".toml": _toml,
    **dict.fromkeys((".yaml", ".yml"), _yaml),
    **dict.fromkeys((".err", ".log", ".md", ".out", ".rst", ".txt"), _text),
    **dict.fromkeys(
        (".bmp", ".eps", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".ps", ".svg", ".tif", ".tiff"),
        _path,
    ),
    ".webp": _path,
}
