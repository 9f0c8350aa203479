"""Choose the reader of a MESA file by its name and its first lines; None for all other files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.chains import follow
from pytest_remex.extensions.mesa.effective import EffectiveConfig
from pytest_remex.extensions.mesa.inlists import InlistWarning, load, read_inlist
from pytest_remex.extensions.mesa.layout import header_of
from pytest_remex.extensions.mesa.roots import find_roots, is_inlist

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from pytest_remex.extensions.mesa.values import Literal

_INDEX = "profiles.index"
_OTHERS = 2
"""Columns that a table must have to be MESA's, where its name does not end in .data."""


def read_output(
    path: Path, columns: Sequence[str] | None = None
) -> pd.DataFrame | Mapping[str, Mapping[str, Literal]] | None:
    """Read a history, a profile, their index or an inlist, gzipped or not, whatever its name.

    Args:
        path: The output.
        columns: The columns to read of a history or profile; by default all.

    Returns:
        A table, or the groups of an inlist; None for what is none of these.

    Raises:
        RemexError: Where a file that looks like one of them cannot be read, or lacks a column.
    """
    if not path.is_file():
        return None
    if path.name != _INDEX and not _is_table(path):
        return read_inlist(path) if is_inlist(path) and load(path).groups else None
    from pytest_remex.extensions.mesa import outputs  # noqa: PLC0415 - pandas takes half a second

    if path.name == _INDEX:
        return outputs.read_profiles_index(path)
    return outputs.read_history(path, columns)


def config_of(folder: Path, config_file: str | Sequence[str] | None) -> EffectiveConfig | None:
    """Return the settings that count in a work directory, or in what was fetched of it.

    Half a chain does not tell what ran, for a file that is not here may override what is: a group
    that needs such a file is left out, with an `InlistWarning`.

    Args:
        folder: The work directory, or a run's outputs.
        config_file: The sweep's, one or several, relative to `folder`: see `find_roots`.

    Returns:
        The settings; None where there is no inlist to start from, or nothing can be told.
    """
    roots = find_roots(folder, config_file).paths
    if not roots:
        return None
    try:
        config, problems = follow(roots, folder)
    except NamelistError as error:
        config, problems = EffectiveConfig({}, {}), {"": error}
    for problem in dict.fromkeys(map(str, problems.values())):
        said = f"the config that ran is not read back: {problem}"
        warnings.warn(said, InlistWarning, stacklevel=2)
    return config if config or not problems else None


def _is_table(path: Path) -> bool:
    header = header_of(path)
    return header is not None and (path.suffix == ".data" or len(header.columns) >= _OTHERS)
