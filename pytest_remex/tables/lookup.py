"""Find the results of a sweep on this machine, and read its tables; without pandas."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_remex.errors import RemexError
from pytest_remex.names import label
from pytest_remex.tables.recorded import RECORDED, read_with_recorded, recorded_rows
from pytest_remex.tables.rows import LAUNCHES
from pytest_remex.tables.table import CSV, Table
from pytest_remex.variant import Variant

if TYPE_CHECKING:
    from pytest_remex.model import Value

CONFIG = "config"
"""The role of columns with settings that were read back."""
_OUTPUT = "remex-output"


def all_sweeps(variant: Variant) -> list[Path]:
    """Return the folders of all sweeps with results of this variant, in the nearest output folder.

    Raises:
        RemexError: There is no output folder.

    """
    if (found := _sweeps_here(variant)) is not None:
        return found
    raise RemexError(
        f"no folder {_OUTPUT} in {Path.cwd()} or the folders above: run pytest --remex-collect "
        f"there, or give the path of a sweep's folder"
    )


def _sweeps_here(variant: Variant) -> list[Path] | None:
    """Return these folders; None if there is no output folder."""
    for above in (Path.cwd(), *Path.cwd().parents):
        if (above / _OUTPUT).is_dir():
            folders = sorted((above / _OUTPUT).iterdir())
            return [folder for folder in folders if (folder / variant.folder / CSV).is_file()]
    return None


def find_tables(
    which: str | Path, variant: Variant, launch: str | None = None, *, everything: bool = False
) -> list[Path]:
    """Return the tables of a sweep's results: one, or with `everything` one a launch.

    Args:
        which: The sweep's name, searched for in `remex-output` in the working directory and its
            parents; or the path of a CSV, or of the folder that contains results.csv.
        variant: The variant of the grid.
        launch: The id of a launch; None for the newest launch of each experiment.
        everything: All launches, the oldest first.

    Raises:
        RemexError: There are no such results.

    """
    path = _find(which, variant)
    return [path] if path.name != CSV else _paths(path.parent, launch, everything=everything)


def _find(which: str | Path, variant: Variant) -> Path:
    given = Path(which).expanduser().absolute()
    if given.is_file():
        return given
    above = [Path.cwd(), *Path.cwd().parents]
    for sweep in (given, *(each / _OUTPUT / label(str(which)) for each in above)):
        folder = sweep / variant.folder
        if (folder / LAUNCHES).is_dir() or any((folder / n).is_file() for n in (CSV, RECORDED)):
            return folder / CSV
    if variant.remote and (several := _table_of_several(which, variant)):
        return several
    known = ", ".join(folder.name for folder in _sweeps_here(variant) or ())
    others = f" (there are {known})" if known else ""
    raise RemexError(
        f"no results of {str(which)!r}{others}: neither a CSV, nor a folder that holds {CSV}, nor "
        f"a sweep in {_OUTPUT} of {Path.cwd()} or the folders above; "
        f"run pytest --remex-collect {variant.options}".rstrip()
        + " there, or give the path"
    )


def _table_of_several(which: str | Path, variant: Variant) -> Path | None:
    """Return the table of a grid that one command runs on several remotes, if it is such a one."""
    try:
        path = _find(which, replace(variant, remote=""))
    except RemexError:
        return None
    table = read_tables([path])
    return path if table and "remote" in table.names("point") else None


def _paths(folder: Path, launch: str | None, *, everything: bool) -> list[Path]:
    collected = {path.parent.name for path in folder.glob(f"{LAUNCHES}/*/{CSV}")}
    collected |= {row.launch for row in recorded_rows(folder)}
    launches = {launch: folder / LAUNCHES / launch / CSV for launch in collected}
    if launch is None:
        newest = [folder / CSV]
        return [launches[each] for each in sorted(launches)] or newest if everything else newest
    if launch not in launches:
        known = ", ".join(sorted(launches)) or "none"
        raise RemexError(
            f"launch={launch!r} has no results in {folder}: there are {known}; "
            f"run pytest --remex-collect --remex-launch={launch}"
        )
    return [launches[launch]]


def read_tables(paths: Sequence[Path], remote: str = "") -> Table | None:
    """Return tables as one, with absolute paths of outputs.

    Args:
        paths: The tables, the oldest first: the newest says the dimensions and the columns' order.
        remote: Only the rows of this remote, if a grid was run on several.

    Returns:
        The table; None if one of them has no results.json, which says what its columns are.

    """
    tables = [_read(path) for path in paths]
    found = [table for table in tables if table]
    if len(found) < len(tables):
        return None
    newest = found[-1]
    roles: dict[str, str] = {}
    for table in (newest, *found):
        roles |= {name: role for name, role in table.roles.items() if name not in roles}
    rows = [{name: row.get(name) for name in roles} for table in found for row in table.rows]
    if remote and "remote" in newest.names("point"):
        rows = [row for row in rows if row["remote"] == remote]
    return Table(newest.dimensions, roles, rows)


def _read(path: Path) -> Table | None:
    table = read_with_recorded(path.parent) if path.name == CSV else None
    return None if table is None else with_absolute_paths(table, path.parent)


def with_absolute_paths(table: Table, folder: Path) -> Table:
    """Return a folder's table with absolute paths of outputs."""

    def absolute(place: Value) -> Value:
        return os.path.normpath(f"{folder}/{place}") if isinstance(place, str) else None

    rows = [{**row, "path": absolute(row["path"])} for row in table.rows]
    return Table(table.dimensions, table.roles, rows)
