"""The results, the links and the report of a sweep, made of what its experiments became."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pluggy

from pytest_remex.collect.notes import Note, read_note, write_note
from pytest_remex.collect.pipeline import Collected
from pytest_remex.io import writing
from pytest_remex.model import Scalar
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.report import Page, write_report
from pytest_remex.report import Row as Shown
from pytest_remex.tables.frame import frame
from pytest_remex.tables.judged import Judged
from pytest_remex.tables.links import rebuild_links
from pytest_remex.tables.merge import Row, write_results
from pytest_remex.tables.table import Table, read_table

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")


def show(
    group: Sequence[Judged], folder: Path, shown: Path, settings: Settings, hook: pluggy.HookRelay
) -> None:
    """Write the results into a sweep's folder, and into `shown`, which may be it, the report.

    Raises `RecordError` where one cannot be written.
    """
    plan = group[0].sweep
    write_results(
        folder,
        [_row(each) for each in group],
        dimensions=[dimension.names for dimension in plan.dimensions],
        launch=settings.launch,
    )
    for each in group:
        if each.renoted:
            write_note(each.collected.folder, each.note)
    notes = {each.collected.run.entry.directory: each.note for each in group}
    table = read_table(shown)
    if table is None:
        return
    results = frame(table)
    hook.pytest_remex_collected(results=results, folder=shown)
    figures = [
        one
        for some in hook.pytest_remex_figures(results=results, folder=shown)
        for one in some or ()
    ]
    page = _page(group, table, shown, notes, figures)
    with writing(shown):
        write_report(shown / "report.html", page)
    if shown == folder:
        rebuild_links(
            folder,
            table,
            template=plan.link_name,
            namer=lambda row, output: hook.pytest_remex_link_name(row=row, output=output),
            layout=settings.layout,
        )


def tell(shown: Path, hook: pluggy.HookRelay) -> None:
    """Show the results that a folder holds to who listens."""
    if table := read_table(shown):
        hook.pytest_remex_collected(results=frame(table), folder=shown)


def _row(each: Judged) -> Row:
    run, job = each.collected.run, each.collected.job
    verdict = each.verdict or str(job.state)
    return Row(
        node=each.node,
        id=run.entry.id,
        point={**run.entry.point, **each.parameters},
        launch=run.record.launch.id,
        state=str(job.state),
        verdict=f"{verdict}, CHANGED SINCE LAUNCH" if each.note.changed else verdict,
        measures=each.measures,
        reason=each.reason,
        elapsed=job.elapsed,
        job=job.id,
        commit=run.entry.commit.sha,
        parent=run.entry.commit.base,
        run_directory=run.entry.directory,
        path=each.collected.folder if each.collected.outputs.files else None,
        outputs=_outputs(each.collected),
    )


def _outputs(collected: Collected) -> list[str]:
    """Give the names of the outputs, without a config file that was fetched only to be read."""
    launch = collected.run.record.launch
    unasked = {launch.config_file} - set(launch.fetch)
    return sorted(name for name in collected.outputs.files if name not in unasked)


def _page(
    group: Sequence[Judged],
    table: Table,
    folder: Path,
    notes: Mapping[str, Note],
    figures: Sequence[object],
) -> Page:
    launch = group[0].collected.run.record.launch
    used = sum((j.elapsed or 0) * (j.cores or 1) for j in (e.collected.job for e in group)) / 3600
    launches = sorted({str(row["launch"]) for row in table.rows})
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
        rows=[_shown(row, table, folder, notes) for row in table.rows],
        figures=figures,
    )


def _shown(
    row: Mapping[str, object], table: Table, folder: Path, notes: Mapping[str, Note]
) -> Shown:
    path = str(row["path"]) if row["path"] else ""
    outputs = row["outputs"] if isinstance(row["outputs"], list) else []
    note = notes.get(str(row["run_directory"])) or (read_note(folder / path) if path else Note())
    elapsed = row["elapsed"]
    hrefs = tuple((str(name), f"{path}/{name}") for name in outputs)
    return Shown(
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
        parent=str(row["parent"]),
        directory=str(row["run_directory"]),
        diff=note.diff,
        log=note.log,
        outputs=hrefs,
        images=tuple(href for _, href in hrefs if href.lower().endswith(IMAGES)),
    )


def _scalar(value: object) -> Scalar:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
