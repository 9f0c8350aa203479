"""Write a sweep's results, links and report, and the index of all sweeps with results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_remex.collect.hooks import GuardedHooks
from pytest_remex.collect.judge import JudgedRun
from pytest_remex.collect.manifest import write_judged
from pytest_remex.io import writing
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
from pytest_remex.tables.merge import Today, read_old, write_results
from pytest_remex.tables.recorded import recorded_rows
from pytest_remex.tables.report_data import EARLIER_CHECK, bases, counts_of, make_page, when_of
from pytest_remex.tables.rows import INDEX, LAUNCHES, ZIP, PublishOptions, row_of
from pytest_remex.tables.table import CSV, Table, read_table


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
    points = [*expand(sweep), *options.added.get((sweep.name, group[0].variant), ())]
    today = Today(points, options.parameters)
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
    launches = sorted((path.parent.name for path in folder.glob(f"{LAUNCHES}/*/{CSV}")), key=_time)
    names = {"report": "report.html", "results": CSV, "links": "links"}
    return IndexedSweep(
        name=place,
        when=when_of(launches[-1]) if launches else "",
        base=", ".join(base[:12] for base in bases(table)) if table else "",
        counts=counts_of(table) if table else {},
        launches=len(launches),
        links=tuple(
            (name, f"{place}/{file}") for name, file in names.items() if (folder / file).exists()
        ),
    )


def _time(launch: str) -> str:
    return launch[-19:]
