"""Write the results, links and report of a sweep, of two bases compared, and the index of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_remex.collect.compare import Comparison
from pytest_remex.collect.judge import JudgedRun
from pytest_remex.collect.manifest import write_judged
from pytest_remex.hooks import GuardedHooks
from pytest_remex.io import writing
from pytest_remex.model import Scalar
from pytest_remex.names import function_of, launch_stamp, safe_folder
from pytest_remex.report import (
    IndexedSweep,
    Page,
    Portable,
    write_index,
    write_portable,
    write_report,
)
from pytest_remex.sweep import expand
from pytest_remex.tables.frame import frame
from pytest_remex.tables.links import rebuild_links
from pytest_remex.tables.report_data import EARLIER_CHECK, make_page, when_of
from pytest_remex.tables.rows import (
    INDEX,
    LAUNCHES,
    ZIP,
    PublishOptions,
    Row,
    Today,
    merged,
    read_old,
    results_folder,
    row_of,
    write_results,
)
from pytest_remex.tables.stored import recorded_rows
from pytest_remex.tables.table import CSV, Table, read_table, write_table
from pytest_remex.variant import Variant

AGAINST = "against"
"""The folder of comparisons, in the folder of a sweep's results."""


def write(
    group: Sequence[JudgedRun],
    folder: Path,
    shown: Path,
    options: PublishOptions,
    hooks: GuardedHooks,
) -> tuple[Table, Portable | None, str]:
    """Write the files of a sweep.

    Return its table, a description of the zip if one is made, and how many rows an earlier check
    judged.

    Args:
        group: The sweep's judged experiments.
        folder: The sweep's folder.
        shown: The folder of the launch to show, or the sweep's.
        options: Which launch to show, the layout of the links, and whether to make a zip.
        hooks: The hooks that add figures, name links and receive the results.

    Raises:
        RecordError: A file cannot be written.

    """
    sweep = group[0].sweep
    dimensions = [dimension.names for dimension in sweep.dimensions]
    nodes = [each.node for each in group]
    rows = [*recorded_rows(shown, nodes), *(row_of(each) for each in group)]
    today = _today(group, options)
    table = write_results(folder, rows, dimensions=dimensions, launch=options.launch, today=today)
    for each in group:
        if each.note_changed:
            write_judged(each.collected.folder, each.note)
    results = frame(table)
    hooks.call("pytest_remex_collected", results=results, folder=shown)
    added = hooks.call("pytest_remex_figures", results=results, folder=shown)
    figures = [figure for each in added for figure in each]
    page = make_page(group, table, shown, figures, hooks.flat("pytest_remex_uniform"))
    portable = _write_report(page, shown, options)
    if shown == folder:
        rebuild_links(
            folder,
            table,
            template=sweep.link_name,
            namer=lambda row, output: hooks.first("pytest_remex_link_name", row=row, output=output),
            layout=options.layout,
            root=options.output,
        )
    return table, portable, page.facts.get(EARLIER_CHECK, "")


def _today(group: Sequence[JudgedRun], options: PublishOptions) -> Today:
    """Return what a sweep has now, with all functions that have a sweep of its name."""
    sweep = group[0].sweep
    functions = {function_of(each.node) for each in group}

    def is_of_another(node: str) -> bool:
        return function_of(node) not in functions and options.has(sweep.name, node)

    points = [*expand(sweep), *options.added.get((sweep.name, group[0].variant), ())]
    parameters = {
        function: named
        for function, named in options.parameters.items()
        if options.has(sweep.name, function)
    }
    return Today(points, parameters, is_of_another)


def _write_report(page: Page, shown: Path, options: PublishOptions) -> Portable | None:
    report, archive = shown / "report.html", shown / ZIP
    with writing(report):
        write_report(report, page, options.output)
    if not options.portable:
        return None
    with writing(archive):
        return write_portable(archive, report, page, options.output)


def announce(shown: Path, hooks: GuardedHooks) -> None:
    """Pass the results in a folder to the hook pytest_remex_collected."""
    if table := read_table(shown):
        hooks.call("pytest_remex_collected", results=frame(table), folder=shown)


def update_index(output: Path) -> None:
    """Rewrite the index of an output folder.

    Raises:
        RecordError: It cannot be written.

    """
    sides = ("", "bases/*/", "remotes/*/", "bases/*/remotes/*/")
    patterns = [f"*/{side}{kind}{CSV}" for kind in ("", "against/*/") for side in sides]
    folders = sorted(path.parent for pattern in patterns for path in output.glob(pattern))
    with writing(output / INDEX):
        write_index(output / INDEX, [_sweep(folder, output) for folder in folders])


def _sweep(folder: Path, output: Path) -> IndexedSweep:
    place = folder.relative_to(output).as_posix()
    table = read_old(folder)
    found = (path.parent.name for path in folder.glob(f"{LAUNCHES}/*/{CSV}"))
    launches = sorted(found, key=launch_stamp)
    names = {"report": "report.html", "results": CSV, "links": "links"}
    return IndexedSweep(
        name=place,
        when=when_of(launches[-1]) if launches else "",
        base=", ".join(base[:12] for base in table.counts("base")) if table else "",
        counts=table.counts("verdict") if table else {},
        launches=len(launches),
        links=tuple(
            (name, f"{place}/{file}") for name, file in names.items() if (folder / file).exists()
        ),
    )


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
