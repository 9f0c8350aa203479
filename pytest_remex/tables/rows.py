"""The rows of the results, where they are published, and how they are merged into older tables.

<sweep>/results.csv                       one row per experiment, from its newest launch
<sweep>/launches/<launch>/results.csv     the experiments of one launch
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pytest_remex.model import LARGEST_EXACT, REPLICATE
from pytest_remex.names import CHANGED, COLUMNS, FIRST_COLUMNS, LAST_COLUMNS, function_of, label
from pytest_remex.tables.table import DamagedTableError, Table, read_table, write_table
from pytest_remex.variant import GRID, Variant

if TYPE_CHECKING:
    from pytest_remex.collect.judge import JudgedRun
    from pytest_remex.collect.runs import CollectedRun
    from pytest_remex.model import Config, Scalar, Value

LAUNCHES = "launches"
INDEX, ZIP = "index.html", "report.zip"
"""The page of all sweeps in the output folder; the zip of a sweep's report and outputs."""
Parameters: TypeAlias = Mapping[str, Mapping[str, Mapping[str, object]]]
"""For each sweep function, such as `sweeps.py::grid`: parameters beside the point, by node id.

Functions without such parameters are there too.
"""


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What to publish, and where.

    `output` is the output folder; `launch` is the launch to show, None for each experiment's
    newest; `layout` is the layout of the links, `links` or `flat`; `portable` asks for a zip with
    the report and the outputs that it links to; `added` are the replicates beside the grids, by the
    sweep's name and variant; `parameters` are those of sweep functions beside the point; `has` says
    whether the function of a node id still exists, and may have a sweep of this name.
    """

    output: Path
    launch: str | None = None
    layout: str = "links"
    portable: bool = False
    added: Mapping[tuple[str, Variant], Sequence[Config]] = field(default_factory=dict)
    parameters: Parameters = field(default_factory=dict)
    has: Callable[[str, str], bool] = lambda _sweep, _node: False


def results_folder(output: Path, sweep: str, launch: str | None, variant: Variant = GRID) -> Path:
    """Return the folder of a sweep's results, or of one launch's, in an output folder."""
    folder = output / label(sweep) / variant.folder
    return folder if launch is None else folder / LAUNCHES / launch


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One experiment's row of the results.

    `point` and `measures` become separate columns. `elapsed` (in seconds) and `core_hours` are None
    if unknown. `path` is the folder of the outputs on this machine, None if there are none, and
    `outputs` are their names in it.
    """

    node: str
    id: str
    point: Mapping[str, object]
    launch: str
    state: str
    verdict: str
    measures: Mapping[str, object]
    reason: str = ""
    elapsed: float | None = None
    core_hours: float | None = None
    job: str = ""
    commit: str = ""
    base: str = ""
    run_directory: str = ""
    path: Path | None = None
    outputs: Sequence[str] = ()
    note: str = ""


def row_of(judged: JudgedRun) -> Row:
    """Return an experiment's row of the results."""
    collected, job, run = judged.collected, judged.collected.job, judged.collected.run
    verdict = judged.verdict or str(job.state)
    return Row(
        node=judged.node,
        id=run.id,
        point={**run.point, **judged.parameters},
        launch=collected.launch.id,
        state=str(job.state),
        verdict=f"{verdict}, {CHANGED}" if judged.note.changed else verdict,
        measures=measures_of(judged),
        reason=judged.reason,
        elapsed=job.elapsed,
        core_hours=None if job.elapsed is None else job.elapsed * (job.cores or 1) / 3600,
        job=job.id,
        commit=run.commit.sha,
        base=run.commit.base,
        run_directory=run.directory,
        path=collected.folder if collected.outputs.files else None,
        outputs=_outputs(collected),
        note=collected.launch.note,
    )


def measures_of(judged: JudgedRun) -> dict[str, Scalar]:
    """Return the recorded measures, and the number of the recipe if the sweep has recipes."""
    recipe: dict[str, Scalar] = {"recipe": judged.collected.run.recipe}
    return {**(recipe if judged.sweep.recipes else {}), **judged.measures, **judged.before}


def _outputs(collected: CollectedRun) -> list[str]:
    """Return the outputs' names, without config files that were fetched only to be read back."""
    sweep = collected.sweep
    unwanted = {*sweep.config_files} - {*sweep.fetch}
    return sorted(name for name in collected.outputs.files if name not in unwanted)


@dataclass(frozen=True, slots=True)
class Today:
    """What a sweep has now: its points, and the parameters that its function has beside them.

    These come from fixtures or from `pytest.mark.parametrize`. `is_of_another` says whether a node
    id is of another function that has a sweep of this name too, and was not collected.
    """

    points: Sequence[Mapping[str, object]]
    parameters: Parameters = field(default_factory=dict)
    is_of_another: Callable[[str], bool] = lambda _node: False


def write_results(
    folder: Path,
    rows: Iterable[Row],
    *,
    dimensions: Sequence[Sequence[str]],
    launch: str | None = None,
    today: Today | None = None,
) -> Table:
    """Write rows into the tables of a sweep, and make its folder if needed.

    A row replaces the old row with its node id, or with its point if the node id has changed, for
    example because the sweep moved to another file. Other rows stay, also those of another class
    that has the sweep.

    Args:
        folder: The sweep's folder in the output folder.
        rows: The newest runs of experiments; or, with `launch`, the runs of that launch.
        dimensions: The parameter names of each dimension.
        launch: Write only the table of this launch, and do not change the sweep's table.
        today: What the sweep has now: other rows are removed from the sweep's table, but not from
            those of launches. None keeps all.

    Returns:
        The sweep's table as written; or, with `launch`, that launch's table.

    Raises:
        RecordError: A table cannot be written.

    """
    flat = [(row, _flat(row)) for row in rows]
    written = {
        each: _merge(
            folder / LAUNCHES / each, [one for one in flat if one[0].launch == each], dimensions
        )
        for each in dict.fromkeys(row.launch for row, _ in flat)
    }
    if launch is None:
        return _merge(folder, flat, dimensions, today)
    return written[launch]


def _flat(row: Row) -> dict[str, Value]:
    """Return a row by column name, without `path`, which is relative to the folder of each table.

    A parameter with the name of a column about the experiment becomes `parameter.<name>`; a measure
    with the name of such a column or of a parameter becomes `measure.<name>`.
    """
    return {
        **{name: plain(getattr(row, name)) for name in FIRST_COLUMNS},
        **{_point_name(name): plain(value) for name, value in row.point.items()},
        **{_measure_name(name, row): plain(value) for name, value in row.measures.items()},
        **{name: plain(getattr(row, name)) for name in LAST_COLUMNS if name != "path"},
    }


def _merge(
    folder: Path,
    flat: Sequence[tuple[Row, Mapping[str, Value]]],
    dimensions: Sequence[Sequence[str]],
    today: Today | None = None,
) -> Table:
    return write_table(folder, _merged(folder, read_old(folder), flat, dimensions, today))


def merged(
    folder: Path, old: Table | None, rows: Iterable[Row], dimensions: Sequence[Sequence[str]]
) -> Table:
    """Return a folder's table with rows merged into it, as `write_results` writes it."""
    return _merged(folder, old, [(row, _flat(row)) for row in rows], dimensions)


def _merged(
    folder: Path,
    old: Table | None,
    flat: Sequence[tuple[Row, Mapping[str, Value]]],
    dimensions: Sequence[Sequence[str]],
    today: Today | None = None,
) -> Table:
    if today is not None:
        swept = _swept(today.points)
        cells = {_cells(point, swept) for point in today.points}
        flat = [
            (row, values)
            for row, values in flat
            if today.is_of_another(row.node) or _cells(row.point, swept) in cells
        ]
    kept = _kept(old, [row for row, _ in flat], today) if old else {}
    new: dict[str, Mapping[str, Value]] = {
        row.node: {**values, "path": os.path.relpath(row.path, folder) if row.path else None}
        for row, values in flat
    }
    together = _without_removed(kept | new, today.parameters if today else {})
    roles = _roles([row for row, _ in flat], old.roles if old else {}, together)
    names = tuple(tuple(_point_name(name) for name in each) for each in dimensions)
    if roles.get(REPLICATE) == "point" and (REPLICATE,) not in names:
        names = (*names, (REPLICATE,))  # some were added: the points of the grid are the first
        together = [{**row, REPLICATE: row.get(REPLICATE) or 1} for row in together]
    filled = [{name: row.get(name) for name in roles} for row in together]
    return Table(names, roles, filled)


def read_old(folder: Path) -> Table | None:
    """Return the table in a folder; None if there is none, or if it is damaged."""
    try:
        return read_table(folder)
    except DamagedTableError:
        return None


def _kept(old: Table, rows: Sequence[Row], today: Today | None) -> dict[str, Mapping[str, Value]]:
    """Return the old rows by node id, without points that the sweep no longer has.

    A row of a function that is no longer there gives way to a new row with its point. Rows of
    another function with a sweep of this name stay.
    """
    kept: dict[str, Mapping[str, Value]] = {
        str(row["node"]): {"base": row.get("parent"), **row}  # its name before 0.2
        for row in old.rows
    }
    if today is None:
        return kept
    swept, functions = _swept(today.points), today.parameters
    named = sorted({*swept, *(name for row in rows for name in row.point)})
    dropped = set(old.names("point")) - {_point_name(name) for name in named}
    there = {_cells(point, swept) for point in today.points}
    nodes = {_cells(row.point, named): row.node for row in rows}

    def cells(row: Mapping[str, Value], names: Sequence[str]) -> tuple[str, ...]:
        return _cells(row, [_point_name(name) for name in names])

    def is_replaced(node: str, row: Mapping[str, Value]) -> bool:
        new, function = nodes.get(cells(row, named), node), function_of(node)
        return new != node and (function_of(new) == function or function not in functions)

    return {
        node: row
        for node, row in kept.items()
        if today.is_of_another(node)
        or (
            cells(row, swept) in there
            and not is_replaced(node, row)
            and all(row.get(name) is None for name in dropped)
        )
    }


def _without_removed(
    rows: Mapping[str, Mapping[str, Value]], parameters: Parameters
) -> list[Mapping[str, Value]]:
    """Return the rows without those of parameters that their functions no longer have."""
    today = {
        function: {_cells(each, sorted(each)) for each in alternatives.values()}
        for function, alternatives in parameters.items()
    }

    def is_there(node: str, row: Mapping[str, Value]) -> bool:
        alternatives = parameters.get(function_of(node))
        if not alternatives or node in alternatives:
            return True
        names = sorted(next(iter(alternatives.values())))
        return _cells(row, [_point_name(name) for name in names]) in today[function_of(node)]

    return [row for node, row in rows.items() if is_there(node, row)]


def _swept(points: Sequence[Mapping[str, object]]) -> list[str]:
    return sorted({name for point in points for name in point})


def _cells(row: Mapping[str, object], names: Sequence[str]) -> tuple[str, ...]:
    """Return parameters as text; if some points are replicates, the others are the first."""
    values = ((row.get(name), name) for name in names)
    return tuple(_cell(1 if v is None and name == REPLICATE else v) for v, name in values)


def _cell(value: object) -> str:
    """Return a parameter's value as text, which is equal for values that are equal in a table."""
    cell = plain(value)
    if isinstance(cell, int) and not isinstance(cell, bool) and abs(cell) <= LARGEST_EXACT:
        cell = float(cell)
    return json.dumps(cell, sort_keys=True)


def _roles(
    rows: Sequence[Row], old: Mapping[str, str], merged: Sequence[Mapping[str, Value]]
) -> dict[str, str]:
    """Return every column's role in order; old measures that no row has any more are dropped."""
    new = {_point_name(name): "point" for row in rows for name in row.point}
    new |= {_measure_name(name, row): "measure" for row in rows for name in row.measures}
    dropped = {name: role for name, role in old.items() if role != "about" and name not in new}
    held = {name for name in dropped if any(row.get(name) is not None for row in merged)}
    roles = new | {name: role for name, role in dropped.items() if name in held}
    return {
        **dict.fromkeys(FIRST_COLUMNS, "about"),
        **{name: role for name, role in roles.items() if role == "point"},
        **{name: role for name, role in roles.items() if role == "measure"},
        **dict.fromkeys(LAST_COLUMNS, "about"),
    }


def _point_name(name: str) -> str:
    return f"parameter.{name}" if name in COLUMNS else name


def _measure_name(name: str, row: Row) -> str:
    return f"measure.{name}" if name in COLUMNS or name in row.point else name


def plain(value: object) -> Value:
    """Convert a value for JSON: NumPy scalars to plain Python, everything else unknown to text."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    match value:
        case None | bool():
            return value
        case int():
            return int(value)
        case float():
            return float(value)
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
    return str(value)
