"""Find and read the results on disk, and save what runs record during a collect.

Each time a sweep function records something, the current row is appended as a line to a file next
to the results, so that nothing is lost however the collect ends. Readers of the results get these
rows too. The next collect of the sweep puts them into its table and removes the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_remex.errors import RecordError, RemexError
from pytest_remex.io import replace_file, writing
from pytest_remex.names import label
from pytest_remex.tables.rows import LAUNCHES, Row, measures_of, merged, results_folder, row_of
from pytest_remex.tables.table import CSV, DamagedTableError, Table, read_table
from pytest_remex.variant import GRID, Variant

if TYPE_CHECKING:
    from pytest_remex.collect.judge import JudgedRun
    from pytest_remex.collect.runs import CollectedRun
    from pytest_remex.model import Scalar, Value

CONFIG = "config"
"""The role of columns with settings that were read back."""
_OUTPUT = "remex-output"
RECORDED = "recorded.jsonl"
FORMAT = 1
"""The format version of the lines that this release writes, and the newest that it reads."""
FIELDS = tuple(field.name for field in fields(Row))
COLLECT = "collect"
"""The field of a line that names the collect which wrote it."""
UNFINISHED = "the collect ended before its check was finished"


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
        path = _find(which, variant._replace(remote=""))
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
    tables = [_table(path) for path in paths]
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


def _table(path: Path) -> Table | None:
    table = read_with_recorded(path.parent) if path.name == CSV else None
    return None if table is None else with_absolute_paths(table, path.parent)


def with_absolute_paths(table: Table, folder: Path) -> Table:
    """Return a folder's table with absolute paths of outputs."""

    def absolute(place: Value) -> Value:
        return os.path.normpath(f"{folder}/{place}") if isinstance(place, str) else None

    rows = [{**row, "path": absolute(row["path"])} for row in table.rows]
    return Table(table.dimensions, table.roles, rows)


class RecordedRows:
    """Save the rows of a collect as they are recorded.

    Args:
        output: The output folder.
        launch: The launch that is collected; None for each experiment's newest.
        tell: Called with a message if a row cannot be written; it is then written at the end.
        collect: Names the collect in its rows, which several processes may write.

    """

    def __init__(
        self, output: Path, launch: str | None, tell: Callable[[str], None], collect: str = ""
    ) -> None:
        self._output = output
        self._launch = launch
        self._tell = tell
        self._collect = collect

    def keep(self, judged: JudgedRun) -> None:
        """Write a run's current row, so that it survives a crash of this process."""
        sweep, variant = judged.sweep.name, judged.variant
        folder = results_folder(self._output, sweep, self._launch, variant)
        row = row_of(judged)
        if not judged.verdict:
            row = replace(row, reason=UNFINISHED)
        facts = {
            "format": FORMAT,
            COLLECT: self._collect,
            "dimensions": [dimension.names for dimension in judged.sweep.dimensions],
            **{name: getattr(row, name) for name in FIELDS},
            "path": os.path.relpath(row.path, folder) if row.path else None,
        }
        try:
            with writing(folder / RECORDED):
                _append(folder / RECORDED, json.dumps(facts).encode())
        except RecordError as error:
            self._tell(str(error))

    def measures(self, judged: JudgedRun) -> dict[str, Scalar]:
        """Return what this collect has recorded of a run, whichever process judged it."""
        lines = _lines(
            results_folder(self._output, judged.sweep.name, self._launch, judged.variant)
        )
        found = [facts for _, facts in lines if self._is_of(facts, {judged.node})]
        return dict(found[-1]["measures"]) if found else {}

    def drop(self, sweep: str, variant: Variant, nodes: Container[str]) -> None:
        """Remove the rows that this collect has recorded of experiments. Raises `RecordError`."""
        folder = results_folder(self._output, sweep, self._launch, variant)
        lines = _lines(folder)
        left = [line for line, facts in lines if not self._is_of(facts, nodes)]
        if len(left) < len(lines):
            replace_file(folder / RECORDED, b"".join(each + b"\n" for each in left).decode("ascii"))

    def _is_of(self, facts: Mapping[str, Any], nodes: Container[str]) -> bool:
        return facts.get(COLLECT) == self._collect and facts.get("node") in nodes


def _append(path: Path, line: bytes) -> None:
    """Append a line; the file is opened each time, because another collect may have removed it."""
    # a line break in front too: a full disk may have cut the line before short, also now
    row = b"\n%b\n" % line
    for attempt in range(2):
        try:
            with path.open("ab", buffering=0) as file:
                written = file.write(row)
                if written < len(row):
                    file.write(row[written:])  # which says why
        except FileNotFoundError:
            if attempt:
                raise
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            return


class UpstreamMeasures:
    """Looks up the measures of runs that others came after.

    Args:
        output: The output folder, for those that another collect has judged.
        variant: The variant of the grid that they are of.

    """

    def __init__(self, output: Path, variant: Variant = GRID) -> None:
        self._output = output
        self._variant = variant
        self._judged: dict[str, JudgedRun] = {}
        self._earlier: dict[str, dict[str, dict[str, Scalar]]] = {}

    def add(self, judged: JudgedRun) -> None:
        """Add a run that this collect has judged."""
        self._judged[judged.collected.run.directory] = judged

    def of(self, upstream: CollectedRun | None) -> dict[str, Scalar]:
        """Return the measures of a run, each as `<sweep>.<name>`; none for None."""
        if upstream is None:
            return {}
        name, directory = upstream.sweep.name, upstream.run.directory
        if directory in self._judged:
            measures = measures_of(self._judged[directory])
        else:
            if name not in self._earlier:
                self._earlier[name] = self._in_tables(name)
            measures = self._earlier[name].get(directory, {})
        return {
            each if "." in each else f"{name}.{each}": value for each, value in measures.items()
        }

    def _in_tables(self, sweep: str) -> dict[str, dict[str, Scalar]]:
        """Return the measures in a sweep's results by run directory, read once for all of them."""
        try:
            table = read_with_recorded(results_folder(self._output, sweep, None, self._variant))
        except DamagedTableError:
            return {}
        found: dict[str, dict[str, Scalar]] = {}
        measures = table.names("measure") if table else []
        for row in table.rows if table else ():
            cells = {name: row.get(name) for name in measures}
            found.setdefault(
                str(row.get("run_directory")),
                {name: cell for name, cell in cells.items() if not isinstance(cell, list | dict)},
            )
        return found


def recorded_rows(folder: Path, collected: Iterable[str] = ()) -> list[Row]:
    """Return the newest row of each experiment that was recorded but is not in the table yet.

    Args:
        folder: The folder of a sweep's results, or of a launch's results.
        collected: The node ids of experiments to leave out.

    """
    left_out = set(collected)
    return [row for row, _ in _read(folder).values() if row.node not in left_out]


def read_with_recorded(folder: Path) -> Table | None:
    """Return a folder's table with the rows recorded since; None if there is neither.

    Raises `DamagedTableError` if the table is damaged.
    """
    has_table = (folder / CSV).is_file()
    found = list(_read(folder).values())
    if folder.parent.name == LAUNCHES:
        sweep = _read(folder.parents[1]).values()
        found += [(row, names) for row, names in sweep if row.launch == folder.name]
    table = read_table(folder) if has_table or not found else None
    if not found or (has_table and table is None):
        return table
    _, dimensions = found[-1]
    return merged(folder, table, [row for row, _ in found], dimensions)


def recorded_size(folder: Path) -> int:
    """Return the bytes of the recorded rows."""
    try:
        return (folder / RECORDED).stat().st_size
    except OSError:
        return 0


def discard(folder: Path, size: int) -> None:
    """Remove the recorded rows that are now in the table: so many bytes, as others may follow.

    Another collect appends its rows meanwhile. Raises `RecordError` if that fails.
    """
    path = folder / RECORDED
    with writing(path), suppress(FileNotFoundError):
        if left := path.read_bytes()[size:]:
            replace_file(path, left.decode("ascii"))
        else:
            path.unlink()


def _read(folder: Path) -> dict[str, tuple[Row, Sequence[Sequence[str]]]]:
    """Return the newest row of each node id, with the parameter names of each dimension."""
    found: dict[str, tuple[Row, Sequence[Sequence[str]]]] = {}
    for _, facts in _lines(folder):
        with suppress(ValueError, KeyError, TypeError):  # damaged: the table is without it
            if facts["format"] <= FORMAT:
                path = facts["path"] and folder / facts["path"]
                row = Row(
                    **{name: facts[name] for name in FIELDS if name in facts} | {"path": path}
                )
                found[row.node] = row, facts["dimensions"]
    return found


def _lines(folder: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """Return the lines of the file, each with what it says: nothing if it was cut short."""
    try:
        lines = filter(None, (folder / RECORDED).read_bytes().splitlines())
    except OSError:
        return []
    return [(line, _facts(line)) for line in lines]


def _facts(line: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(line)
    except ValueError:  # a line that a kill or a full disk cut short
        return {}
    return facts if isinstance(facts, dict) else {}
