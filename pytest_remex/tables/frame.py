"""Results as a DataFrame: `results("tams")` in a notebook, without pytest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pytest_remex.collect.compare import spread_of
from pytest_remex.collect.recorder import read_curves
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import JobState
from pytest_remex.errors import RemexError
from pytest_remex.model import REPLICATE
from pytest_remex.names import submit_time
from pytest_remex.tables.readers import read_csv
from pytest_remex.tables.stored import CONFIG, find_tables, read_tables
from pytest_remex.tables.table import Kind, kind_of
from pytest_remex.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from pytest_remex.model import Value
    from pytest_remex.tables.table import Table

_DIRECTORY, _DATE = "run_directory", "date"
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
    config: bool | Sequence[str] = False,
    plugins: Iterable[object] = (),
) -> pd.DataFrame:
    """Return the results of a sweep, one row per experiment.

    The columns are the experiment's node id and id, its parameters, its measures, and state,
    verdict, reason, elapsed (s), job, commit, base, date (of the submit), run_directory, path (of
    its outputs, absolute), outputs (their names), launch and note; `.attrs` names the
    `dimensions`, `parameters` and `measures`.

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
        config: Add the settings of the runs' config files, read back from the outputs: True for
            all, or the names of some. They come after the measures, and `.attrs` names them as
            `config`. One with the name of another column is `config.<name>`.
        plugins: With `config`, modules and objects with hooks that read configs, as for `runs`.

    Raises:
        RemexError: The results do not exist, or are damaged; or no config could be read back.

    A notebook shows states and verdicts in colour.

    Example:
        >>> results("tams", grid=True).age.to_xarray()  # doctest: +SKIP
        >>> results("tams", config=["mixing_length_alpha"])  # doctest: +SKIP

    """
    paths = find_tables(which, Variant(base=base, remote=remote), launch, everything=everything)
    table = read_tables(paths, remote)
    if table is None:
        if grid or spread or config or len(paths) > 1:
            raise RemexError(
                f"{paths[0]} has no results.json beside it, which says what its columns are: "
                f"collect again, or leave out grid, spread, config and everything"
            )
        return read_csv(paths[0])
    if config:
        from pytest_remex.tables.runs import with_config  # noqa: PLC0415 - loads git and Rich

        table = with_config(table, None if config is True else config, plugins)
    found = frame(table)
    if spread:
        found, everything = _spread(found), False
    return _grid(found, ["launch"] if everything else []) if grid else found


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


def frame(table: Table) -> pd.DataFrame:
    """Return a table as a DataFrame; missing values are NaN, or NA for ints and bools."""
    columns = {name: _series([row[name] for row in table.rows]) for name in table.roles}
    found = Results(columns)
    if _DATE not in columns and _DIRECTORY in columns:
        dates = [submit_time(str(row[_DIRECTORY])) for row in table.rows]
        found.insert(list(columns).index(_DIRECTORY), _DATE, pd.to_datetime(pd.Series(dates)))
    found.attrs = {
        "dimensions": [list(names) for names in table.dimensions],
        "parameters": table.names("point"),
        "measures": table.names("measure"),
        "config": table.names(CONFIG),
    }
    return found


def _spread(found: pd.DataFrame) -> pd.DataFrame:
    """Return mean, standard deviation and count of each measure over a point's replicates."""
    names = [name for name in found.attrs["parameters"] if name != REPLICATE]
    measures = [name for name in found.attrs["measures"] if _is_number(found[name])]
    columns = [map(repr, found[name]) for name in names]
    keys = list(zip(*columns, strict=True)) if columns else [()] * len(found)
    rows = []
    for several in grouped((key, place) for place, key in enumerate(keys)).values():
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
