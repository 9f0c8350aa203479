"""Choose the reader of a MESA file by its name and its first lines; None for all other files."""

from __future__ import annotations

import warnings
from itertools import islice
from typing import TYPE_CHECKING

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.chains import effective_config
from pytest_remex.extensions.mesa.inlists import InlistWarning, load, read_inlist
from pytest_remex.extensions.mesa.layout import HEADER_LINES, has_mesa_layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from pytest_remex.extensions.mesa.chains import EffectiveConfig
    from pytest_remex.extensions.mesa.values import Literal

ROOT = "inlist"
"""The file that MESA starts from."""

_NAMELISTS = frozenset({".nml", ".namelist"})


def read_output(path: Path) -> pd.DataFrame | Mapping[str, Mapping[str, Literal]] | None:
    """Read a history, a profile, their index or an inlist; None for what is none of these.

    Raises `RemexError` where a file that looks like one of them cannot be read.
    """
    if not path.is_file():
        return None
    if is_inlist(path):
        return read_inlist(path) if load(path).groups else None
    if path.name != "profiles.index" and not _has_columns(path):
        return None
    from pytest_remex.extensions.mesa import outputs  # noqa: PLC0415 - pandas takes half a second

    if path.name == "profiles.index":
        return outputs.read_profiles_index(path)
    return outputs.read_history(path)


def effective_of(folder: Path, config_file: str | None) -> EffectiveConfig | None:
    """Give the settings that count in a work directory, or in what was fetched of it.

    They begin with `inlist`, as MESA does, or else with `config_file` if that is an inlist; None
    where neither is there. Raises `NamelistError` where a file that they name is missing.
    """
    named = folder / config_file if config_file and is_inlist(folder / config_file) else None
    for root in (folder / ROOT, named):
        if root and root.is_file():
            return effective_config(root)
    return None


def config_of(folder: Path, config_file: str | None) -> EffectiveConfig | None:
    """Give the settings that count in a run's outputs; None, with a warning, if a file is missing.

    Half a chain does not tell what ran: a file that is not here may override what is.
    """
    try:
        return effective_of(folder, config_file)
    except NamelistError as error:
        said = f"the config that ran is not read back: {error}"
        warnings.warn(said, InlistWarning, stacklevel=2)
        return None


def is_inlist(path: Path) -> bool:
    """Whether a file is a namelist file, by its name."""
    return path.name.startswith(ROOT) or path.suffix in _NAMELISTS


def _has_columns(path: Path) -> bool:
    if path.suffix != ".data":
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return has_mesa_layout(list(islice(file, HEADER_LINES)))
