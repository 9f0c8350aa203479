"""Results as a DataFrame: `results("tams")` in a notebook, without pytest."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pytest_remex.collect.recorder import read_curves
from pytest_remex.collect.spread import spread_of
from pytest_remex.common.jobs import JobState
from pytest_remex.errors import RemexError
from pytest_remex.model import REPLICATE
from pytest_remex.names import label
from pytest_remex.tables.merge import LAUNCHES
from pytest_remex.tables.recorded import RECORDED, read_with_recorded, recorded_launches
from pytest_remex.tables.table import CSV, Kind, Table, kind_of
from pytest_remex.variant import GRID, Variant

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from pytest_remex.model import Value

_OUTPUT = "remex-output"
_EXACT_BY_DEFAULT = (3, 1)
_DTYPES = {Kind.BOOL: "bool", Kind.INT: "int64", Kind.FLOAT: "float64", Kind.JSON: "object"}
_NULLABLE = _DTYPES | {Kind.BOOL: "boolean", Kind.INT: "Int64"}


class Results(pd.DataFrame):
    """A DataFrame that a notebook shows with states and verdicts in colour."""

    @property
    def _constructor(self) -> type[Results]:
        return Results

    def _repr_html_(self) -> str | None:
        coloured: list[Hashable] = [name for name in ("state", "verdict") if name in self.columns]
        is_short = len(self) <= (pd.get_option("display.max_rows") or len(self))
        if not coloured or not is_short or not (self.index.is_unique and self.columns.is_unique):
            shown: str | None = super()._repr_html_()  # type: ignore[misc]  # the stubs lack it
            return shown
        style = self.style.format(escape="html", na_rep="").format_index(escape="html", axis=1)
        return style.map(_colour, subset=coloured).to_html()


def _colour(word: object) -> str:
    """Return the style of a state or a verdict: green for good, red for failed, else amber."""
    text = str(word).partition(",")[0]
    if text in {"COMPLETED", "PASSED"}:
        return "color: #15803d"
    is_state = text in set(JobState)
    failed = JobState(text).failed if is_state else text.startswith("FAILED")
    return "color: #b91c1c" if failed else "color: #b45309"


def results(  # noqa: PLR0913 - the contract with users
    which: str | Path,
    *,
    launch: str | None = None,
    grid: bool = False,
    everything: bool = False,
    spread: bool = False,
    base: str = "",
    remote: str = "",
) -> pd.DataFrame:
    """Return the results of a sweep, one row per experiment.

    The columns are the experiment's node id and id, its parameters, its measures, and state,
    verdict, reason, elapsed (s), job, commit, base, run_directory, path (of its outputs,
    absolute), outputs (their names), launch and note; `.attrs` names the `dimensions`,
    `parameters` and `measures`.

    Args:
        which: The sweep's name, searched for in `remex-output` in the working directory and its
            parents; or the path of a CSV, or of the folder that contains results.csv.
        launch: The id of a launch; by default the newest launch of each experiment.
        grid: Make the dimensions the index, ready for `.to_xarray()`. A level is named after the
            dimension's first parameter whose values are all different; with `everything` the first
            level is the launch.
        everything: All launches together.
        spread: One row a point, over its replicates: of each measure that is a number the mean, as
            `<name>.spread` the standard deviation (of a sample: NaN for one alone), and as
            `<name>.count` how many have it. Only numbers are measures then.
        base: The branch, tag or commit of `--remex-base`; empty for the grid itself.
        remote: The name of `--remex-remote`; or of a grid that one command runs on several remotes
            the value of the column `remote`. Empty for the grid itself.

    Raises:
        RemexError: The results do not exist, or are damaged.

    A notebook shows states and verdicts in colour.

    Example:
        >>> results("tams", grid=True).age.to_xarray()  # doctest: +SKIP

    """
    path = _find(which, Variant(base=base, remote=remote))
    paths = [path] if path.name != CSV else _paths(path.parent, launch, everything=everything)
    tables = [_read(path) for path in paths]
    if None not in tables:
        found = _on_remote(frame(_together([table for table in tables if table])), remote)
        if spread:
            found, everything = _spread(found), False
        return _grid(found, ["launch"] if everything else []) if grid else found
    if grid or spread or len(paths) > 1:
        raise RemexError(
            f"{paths[0]} has no results.json beside it, which says what its columns are: "
            f"collect again, or leave out grid, spread and everything"
        )
    return read_csv(path)


def curves(
    which: str | Path,
    name: str | None = None,
    *,
    launch: str | None = None,
    base: str = "",
    remote: str = "",
) -> pd.DataFrame:
    """Return the curves that a sweep's runs recorded, at full resolution, one row per point.

    The columns are experiment (its id), name (the curve's), x, y, and the parameters; `.attrs` has
    the axis titles in `labels`, by the curve's name.

    Args:
        which: The sweep's name, searched for as by `results`; or the path of its folder.
        name: Only the curves of this name.
        launch: The id of a launch; by default the newest run of each experiment.
        base: The branch, tag or commit of `--remex-base`; empty for the grid itself.
        remote: The name of `--remex-remote`; empty for the grid itself.

    Raises:
        RemexError: The results do not exist, no curve has that name, or a file is damaged.

    Example:
        >>> curves("tams", "radius").groupby("experiment").y.max()  # doctest: +SKIP

    """
    table = results(which, launch=launch, base=base, remote=remote)
    labels: dict[str, list[str]] = {}
    parts = [pd.DataFrame({"experiment": [], "name": [], "x": [], "y": []})]
    for row in table[table["path"].notna()].to_dict("records"):
        for curve in read_curves(Path(row["path"])):
            labels[curve.name] = [curve.x_label, curve.y_label]
            part = pd.DataFrame({"experiment": row["id"], "name": curve.name, "x": curve.x})
            part["y"] = curve.y
            for each in table.attrs["parameters"]:
                title = f"parameter.{each}" if each in part.columns[:4] else each
                part[title] = [row[each]] * len(part)
            parts.append(part)
    found = pd.concat(parts[1:] or parts, ignore_index=True)
    found.attrs["labels"] = labels
    return found if name is None else _named(found, name)


def _named(found: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the curves of one name."""
    labels = found.attrs["labels"]
    if name not in labels:
        raise RemexError(
            f"no run recorded a curve {name!r}: there are {', '.join(labels) or 'none'}"
        )
    chosen = found[found["name"] == name].reset_index(drop=True)
    chosen.attrs["labels"] = {name: labels[name]}
    return chosen


def read_csv(path: Path, **options: Any) -> pd.DataFrame:  # noqa: ANN401 - those of pandas
    """Read any CSV with a header line as a DataFrame; floats are exact."""
    if "columns" in options:  # the name of this option in other readers
        options["usecols"] = options.pop("columns")
    if tuple(map(int, pd.__version__.split(".")[:2])) < _EXACT_BY_DEFAULT:
        options.setdefault("float_precision", "round_trip")
    found: pd.DataFrame = pd.read_csv(path, **options)
    return found


def read_parquet(path: Path, **options: Any) -> pd.DataFrame:  # noqa: ANN401 - those of pandas
    """Return a Parquet file as a DataFrame; `columns` reads some of it."""
    try:
        found: pd.DataFrame = pd.read_parquet(path, **options)
    except ImportError:
        raise RemexError(f"{path} is Parquet: pip install 'pytest-remex[parquet]'") from None
    return found


def frame(table: Table) -> pd.DataFrame:
    """Return a table as a DataFrame; missing values are NaN, or NA for ints and bools."""
    columns = {name: _series([row[name] for row in table.rows]) for name in table.roles}
    found = Results(columns)
    found.attrs = {
        "dimensions": [list(names) for names in table.dimensions],
        "parameters": table.names("point"),
        "measures": table.names("measure"),
    }
    return found


def _spread(found: pd.DataFrame) -> pd.DataFrame:
    """Return mean, standard deviation and count of each measure over a point's replicates."""
    names = [name for name in found.attrs["parameters"] if name != REPLICATE]
    measures = [name for name in found.attrs["measures"] if _is_number(found[name])]
    columns = [map(repr, found[name]) for name in names]
    keys = list(zip(*columns, strict=True)) if columns else [()] * len(found)
    places: dict[tuple[str, ...], list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    rows = []
    for several in places.values():
        group = found.iloc[several]
        row = {name: group[name].iloc[0] for name in names}
        for name in measures:
            its = spread_of(group[name].dropna().astype("float64"))
            row |= {name: its.mean, f"{name}.spread": its.spread, f"{name}.count": its.count}
        rows.append(row)
    table = pd.DataFrame(rows)
    dimensions = [each for each in found.attrs["dimensions"] if each != [REPLICATE]]
    table.attrs = {"dimensions": dimensions, "parameters": names, "measures": measures}
    return table


def _is_number(values: pd.Series[Any]) -> bool:
    return values.dtype.name in {"int64", "Int64", "float64"}


def _on_remote(found: pd.DataFrame, remote: str) -> pd.DataFrame:
    """Return the rows of a remote, if the table has those of several."""
    if not remote or "remote" not in found.attrs["parameters"]:
        return found
    return found[found["remote"] == remote]


def all_sweeps(variant: Variant) -> list[Path]:
    """Return the folders of all sweeps with results of this variant, in the nearest output folder.

    Raises:
        RemexError: There is no output folder.

    """
    for above in (Path.cwd(), *Path.cwd().parents):
        if (above / _OUTPUT).is_dir():
            folders = sorted((above / _OUTPUT).iterdir())
            return [folder for folder in folders if (folder / variant.folder / CSV).is_file()]
    raise RemexError(
        f"no folder {_OUTPUT} in {Path.cwd()} or the folders above: run pytest --remex-collect "
        f"there, or give the path of a sweep's folder"
    )


def _find(which: str | Path, variant: Variant = GRID) -> Path:
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
    raise RemexError(
        f"no results of {str(which)!r}: neither a CSV, nor a folder that holds {CSV}, nor a sweep "
        f"in {_OUTPUT} of {Path.cwd()} or the folders above; "
        f"run pytest --remex-collect {variant.options}".rstrip()
        + " there, or give the path"
    )


def _table_of_several(which: str | Path, variant: Variant) -> Path | None:
    """Return the table of a grid that one command runs on several remotes, if it is such a one."""
    try:
        path = _find(which, replace(variant, remote=""))
    except RemexError:
        return None
    table = _read(path)
    return path if table and "remote" in table.names("point") else None


def _paths(folder: Path, launch: str | None, *, everything: bool) -> list[Path]:
    collected = {path.parent.name for path in folder.glob(f"{LAUNCHES}/*/{CSV}")}
    collected |= recorded_launches(folder)
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


def _read(path: Path) -> Table | None:
    """Read a table, and make the paths in it absolute."""
    table = read_with_recorded(path.parent) if path.name == CSV else None
    return None if table is None else with_absolute_paths(table, path.parent)


def with_absolute_paths(table: Table, folder: Path) -> Table:
    """Return a folder's table with absolute paths of outputs."""

    def absolute(place: Value) -> Value:
        return os.path.normpath(f"{folder}/{place}") if isinstance(place, str) else None

    rows = [{**row, "path": absolute(row["path"])} for row in table.rows]
    return Table(table.dimensions, table.roles, rows)


def _together(tables: Sequence[Table]) -> Table:
    """Concatenate tables; the dimensions and the order of columns are those of the newest."""
    newest = tables[-1]
    roles = dict(newest.roles)
    for table in tables:
        roles |= {name: role for name, role in table.roles.items() if name not in roles}
    rows = [{name: row.get(name) for name in roles} for table in tables for row in table.rows]
    return Table(newest.dimensions, roles, rows)


def _series(values: list[Value]) -> pd.Series[Any]:
    dtypes = _NULLABLE if None in values else _DTYPES
    return pd.Series(values, dtype=dtypes.get(kind_of(values)))


def _grid(found: pd.DataFrame, first: list[str]) -> pd.DataFrame:
    table = found.copy()
    for name in table.columns:
        if table[name].dtype in ("Int64", "boolean"):
            table[name] = table[name].astype("float64" if table[name].dtype == "Int64" else object)
    levels = [_level(table, names) for names in found.attrs["dimensions"]]
    return table.set_index([*first, *levels]) if first or levels else table


def _level(table: pd.DataFrame, names: list[str]) -> str:
    """Return a column that identifies a dimension's values; add one if no single column does."""
    for name in names:
        if table[name].dtype == object:
            table[name] = table[name].map(_hashable)
    together = len(table.drop_duplicates(names))
    for name in names:
        if table[name].nunique(dropna=False) == together:
            return name
    title = ", ".join(names)
    table[title] = [", ".join(map(str, row)) for row in table[names].itertuples(index=False)]
    return title


def _hashable(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value
