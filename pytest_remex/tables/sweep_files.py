"""Writes a sweep's results, links and report, from what its experiments became."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_remex.collect.hooks import GuardedHooks
from pytest_remex.collect.judge import CHANGED, JudgedRun
from pytest_remex.collect.manifest import JudgedNote, read_judged, write_judged
from pytest_remex.collect.pipeline import CollectedRun
from pytest_remex.io import writing
from pytest_remex.model import Scalar
from pytest_remex.report import Page, write_report
from pytest_remex.report import Row as PageRow
from pytest_remex.tables.frame import frame
from pytest_remex.tables.links import rebuild_links
from pytest_remex.tables.merge import Row, write_results
from pytest_remex.tables.table import Table, read_table

if TYPE_CHECKING:
    from pytest_remex.tables.publish import Target

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")


def write(
    group: Sequence[JudgedRun], folder: Path, shown: Path, target: Target, hooks: GuardedHooks
) -> Table:
    """Write the files of a sweep and return its table.

    Args:
        group: What the sweep's experiments became.
        folder: The sweep's folder.
        shown: The folder of the launch that is shown, or the sweep's.
        target: Which launch is shown, and the layout of the links.
        hooks: The hooks that add figures, name links and are told of the results.

    Raises:
        RecordError: A file cannot be written.

    """
    sweep = group[0].sweep
    dimensions = [dimension.names for dimension in sweep.dimensions]
    rows = [_row(each) for each in group]
    table = write_results(folder, rows, dimensions=dimensions, launch=target.launch)
    for each in group:
        if each.note_changed:
            write_judged(each.collected.folder, each.note)
    results = frame(table)
    hooks.call("pytest_remex_collected", results=results, folder=shown)
    added = hooks.call("pytest_remex_figures", results=results, folder=shown)
    figures = [figure for each in added for figure in each]
    with writing(shown):
        write_report(shown / "report.html", _page(group, table, shown, figures))
    if shown == folder:
        rebuild_links(
            folder,
            table,
            template=sweep.link_name,
            namer=lambda row, output: hooks.first("pytest_remex_link_name", row=row, output=output),
            layout=target.layout,
        )
    return table


def announce(shown: Path, hooks: GuardedHooks) -> None:
    """Pass the results that a folder holds to the hook pytest_remex_collected."""
    if table := read_table(shown):
        hooks.call("pytest_remex_collected", results=frame(table), folder=shown)


def _row(each: JudgedRun) -> Row:
    collected, job, run = each.collected, each.collected.job, each.collected.run
    verdict = each.verdict or str(job.state)
    return Row(
        node=each.node,
        id=run.id,
        point={**run.point, **each.parameters},
        launch=collected.launch.id,
        state=str(job.state),
        verdict=f"{verdict}, {CHANGED}" if each.note.changed else verdict,
        measures=each.measures,
        reason=each.reason,
        elapsed=job.elapsed,
        job=job.id,
        commit=run.commit.sha,
        base=run.commit.base,
        run_directory=run.directory,
        path=collected.folder if collected.outputs.files else None,
        outputs=_outputs(collected),
    )


def _outputs(collected: CollectedRun) -> list[str]:
    """Return the names of the outputs, without a config file that was fetched only to be read."""
    sweep = collected.sweep
    unwanted = {*sweep.config_files} - {*sweep.fetch}
    return sorted(name for name in collected.outputs.files if name not in unwanted)


def _page(
    group: Sequence[JudgedRun], table: Table, folder: Path, figures: Sequence[object]
) -> Page:
    launch = group[0].collected.launch
    jobs = [each.collected.job for each in group]
    used = sum((job.elapsed or 0) * (job.cores or 1) for job in jobs) / 3600
    launches = sorted({str(row["launch"]) for row in table.rows})
    notes = {each.collected.run.directory: each.note for each in group}
    return Page(
        title=launch.name,
        facts={
            "base commit": f"{launch.base[:12]} ({launch.branch})",
            "launches" if len(launches) > 1 else "launch": ", ".join(launches),
            "cluster": launch.remote.host or "this machine",
            "core-hours used": f"{used:.3g}",
        },
        dimensions=tuple(table.names("point")),
        measures=tuple(table.names("measure")),
        rows=[_page_row(row, table, folder, notes) for row in table.rows],
        figures=figures,
    )


def _page_row(
    row: Mapping[str, object], table: Table, folder: Path, notes: Mapping[str, JudgedNote]
) -> PageRow:
    path = str(row["path"]) if row["path"] else ""
    outputs = row["outputs"] if isinstance(row["outputs"], list) else []
    note = notes.get(str(row["run_directory"]))
    if note is None:
        note = read_judged(folder / path) if path else JudgedNote()
    elapsed = row["elapsed"]
    hrefs = tuple((str(name), f"{path}/{name}") for name in outputs)
    return PageRow(
        node=str(row["node"]),
        verdict=str(row["verdict"]),
        state=str(row["state"]),
        reason=str(row["reason"] or ""),
        values={
            name: _scalar(row[name]) for name in [*table.names("point"), *table.names("measure")]
        },
        job=str(row["job"]),
        elapsed=elapsed if isinstance(elapsed, int | float) else None,
        commit=str(row["commit"]),
        parent=str(row["base"]),
        directory=str(row["run_directory"]),
        diff=note.diff,
        log=note.log,
        outputs=hrefs,
        images=tuple(href for _, href in hrefs if href.lower().endswith(IMAGES)),
    )


def _scalar(value: object) -> Scalar:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
