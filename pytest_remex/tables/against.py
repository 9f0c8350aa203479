"""The table and page that compare a grid with the same grid on another base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_remex.collect.compare import Comparison
from pytest_remex.collect.judge import JudgedRun
from pytest_remex.io import writing
from pytest_remex.model import Scalar
from pytest_remex.names import safe_folder
from pytest_remex.report import write_report
from pytest_remex.tables.merge import merged
from pytest_remex.tables.report_data import make_page
from pytest_remex.tables.rows import Row, results_folder, row_of
from pytest_remex.tables.sweep_files import update_index
from pytest_remex.tables.table import write_table
from pytest_remex.variant import Variant

AGAINST = "against"
"""The folder of comparisons, in the folder of a sweep's results."""


def write_comparison(
    here: Sequence[JudgedRun],
    there: Sequence[JudgedRun],
    comparisons: Mapping[str, Comparison],
    reference: Variant,
    output: Path,
) -> Path:
    """Write the results of a sweep on both bases, with a column for each measure's difference.

    Args:
        here: Its judged experiments.
        there: The same on the other base.
        comparisons: How experiments compare, by node id.
        reference: The variant that `there` is of.
        output: The output folder.

    Returns:
        The folder with results.csv and report.html.

    Raises:
        RecordError: A file cannot be written.

    """
    first = here[0]
    folder = results_folder(output, first.sweep.name, None, first.variant)
    folder = folder / AGAINST / safe_folder(reference.base)
    shared = {each.collected.run.directory for each in here}
    others = [each for each in there if each.collected.run.directory not in shared]
    column = _column([*here, *others])
    rows = [_row(each, column, comparisons.get(each.node)) for each in here]
    rows += [_other_row(each, column) for each in others]
    dimensions = [(column,), *(dimension.names for dimension in first.sweep.dimensions)]
    table = write_table(folder, merged(folder, None, rows, dimensions))
    page = make_page([*here, *others], table, folder, [])
    title = f"{first.sweep.name} {first.variant.title} against {reference.base}"
    with writing(folder / "report.html"):
        write_report(folder / "report.html", replace(page, title=" ".join(title.split())), output)
    update_index(output)
    return folder


def _column(judged: Sequence[JudgedRun]) -> str:
    """Return the column that tells on which base a row is."""
    taken = {name for each in judged for name in (*row_of(each).point, *each.measures)}
    return next(
        name for name in ("version", "grid version", "base of the grid") if name not in taken
    )


def _row(judged: JudgedRun, column: str, comparison: Comparison | None) -> Row:
    row = _named(judged, column)
    if comparison is None:
        return row
    measures = {**row.measures, **_deltas(comparison)}
    if not comparison.failure or judged.verdict == "FAILED":
        return replace(row, measures=measures)
    return replace(row, measures=measures, verdict="FAILED", reason=comparison.failure)


def _other_row(judged: JudgedRun, column: str) -> Row:
    row = _named(judged, column)
    return replace(row, node=f"{row.node} {judged.variant.title}")


def _named(judged: JudgedRun, column: str) -> Row:
    row = row_of(judged)
    return replace(row, point={column: judged.variant.base or "today", **row.point})


def _deltas(comparison: Comparison) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for each in comparison.differences:
        if each.delta is not None:
            found[f"{each.name} difference"] = each.delta
        if each.sigma is not None:
            found[f"{each.name} difference in sigma"] = each.sigma
    return found
