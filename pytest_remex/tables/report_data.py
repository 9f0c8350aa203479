"""The content of a sweep's report: its table, patches, logs, curves and launches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from pytest_remex.collect.failure import causes_of
from pytest_remex.collect.judge import JudgedRun
from pytest_remex.collect.manifest import JudgedNote, read_judged
from pytest_remex.collect.recorder import read_curves
from pytest_remex.names import function_of, launch_stamp, launch_time
from pytest_remex.report import Curve, Page, ReportLaunch, ReportRow
from pytest_remex.report.page import fault_of
from pytest_remex.tables.rows import LAUNCHES, read_old
from pytest_remex.tables.table import CSV, Table

if TYPE_CHECKING:
    from pytest_remex.model import Scalar, Value

    TableRow = Mapping[str, Value]

EARLIER_CHECK = "judged by an earlier check"
"""The fact of a page that says how many rows that is so for."""
IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")


def make_page(
    group: Sequence[JudgedRun],
    table: Table,
    shown: Path,
    figures: Sequence[object],
    uniform: Sequence[str] = (),
) -> Page:
    """Return the page of a table.

    Args:
        group: The experiments that were judged now; the table may have more.
        table: The results.
        shown: Their folder.
        figures: The figures that hooks add.
        uniform: Columns that should have one value.

    Raises:
        RemexError: A curve's file is damaged.

    """
    launch = group[0].collected.launch
    notes = _notes(group, table, shown)
    causes = _causes(table, notes)
    launches = sorted({(str(row["launch"]), str(row["note"] or "")) for row in table.rows})
    return Page(
        title=f"{launch.name} {group[0].variant.title}".rstrip(),
        facts={
            **_bases(table, launch.base, launch.branch),
            "launches" if len(launches) > 1 else "launch": ", ".join(
                f"{each} ({note})" if note else each for each, note in launches
            ),
            "cluster": launch.remote.host or "this machine",
            **_earlier_checks(group, table, notes),
            "core-hours used": _hours_text(sum(map(_core_hours, table.rows))),
            **{f"mixed {name}": rows_of(counts) for name, counts in table.mixed(uniform).items()},
        },
        dimensions=tuple(table.names("point")),
        measures=tuple(table.names("measure")),
        rows=[
            _row(row, table, note, cause)
            for row, note, cause in zip(table.rows, notes, causes, strict=True)
        ],
        figures=[each for each in figures if not _is_drawn(each)],
        curves=[
            *(curve for row in table.rows for curve in _curves(row, shown)),
            *(each for each in figures if _is_drawn(each)),
        ],
        launches=_launches(shown),
    )


def rows_of(counts: Counter[str]) -> str:
    """Format how many rows have each value, for a message."""
    shown = [f"{value} ({count} row{'s' * (count > 1)})" for value, count in counts.most_common()]
    return ", ".join(shown)


def _bases(table: Table, base: str, branch: str) -> dict[str, str]:
    found = table.counts("base")
    if len(found) < 2:  # noqa: PLR2004 - several
        return {"base commit": f"{base[:12]} ({branch})"}
    shown = ", ".join(f"{each[:12]} ({count} rows)" for each, count in found.items())
    return {"base commits": shown}


def _earlier_checks(
    group: Sequence[JudgedRun], table: Table, notes: Sequence[JudgedNote]
) -> dict[str, str]:
    """Return how many rows other code judged than the checks of today; nothing if there are none.

    Their measures may mean something else, and other assertions may have held for them.
    """
    today = {function_of(each.node): each.check for each in group}
    earlier = sum(
        bool(note.check) and note.check != today.get(function_of(str(row["node"])), note.check)
        for row, note in zip(table.rows, notes, strict=True)
    )
    return {EARLIER_CHECK: f"{earlier} of {len(notes)} rows"} if earlier else {}


def _core_hours(row: TableRow) -> float:
    used = row["core_hours"]
    return used if isinstance(used, int | float) else 0.0


def _hours_text(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"  # noqa: PLR2004 - three digits


def _notes(group: Sequence[JudgedRun], table: Table, shown: Path) -> list[JudgedNote]:
    judged = {each.collected.run.directory: each.note for each in group}
    return [
        judged.get(str(row["run_directory"]))
        or (read_judged(shown / str(row["path"])) if row["path"] else JudgedNote())
        for row in table.rows
    ]


def _causes(table: Table, notes: Sequence[JudgedNote]) -> list[str]:
    """Return the cause of each failed row; empty for the others."""
    reasons = [str(row["reason"] or "") for row in table.rows]
    failed = [place for place, row in enumerate(table.rows) if _failed(row)]
    found = causes_of([(notes[place].cause, reasons[place]) for place in failed])
    causes = dict(zip(failed, found, strict=True))
    return [causes.get(place, "") for place in range(len(reasons))]


def _failed(row: TableRow) -> bool:
    return str(row["verdict"]).startswith("FAILED")


def _row(row: TableRow, table: Table, note: JudgedNote, cause: str) -> ReportRow:
    path = str(row["path"]) if row["path"] else ""
    outputs = row["outputs"] if isinstance(row["outputs"], list) else []
    elapsed = row["elapsed"]
    hrefs = tuple((str(name), f"{path}/{name}") for name in outputs)
    return ReportRow(
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
        cause=cause,
        launch=str(row["launch"]),
    )


def _curves(row: TableRow, shown: Path) -> list[Curve]:
    if not row["path"]:
        return []
    return [
        Curve(
            str(row["run_directory"]),
            each.name,
            each.x,  # type: ignore[arg-type]  # an array is as good as a sequence
            each.y,  # type: ignore[arg-type]  # as above
            each.x_label,
            each.y_label,
            each.x_reversed,
        )
        for each in read_curves(shown / str(row["path"]))
    ]


def _is_drawn(figure: object) -> TypeGuard[Curve]:
    """Return whether what a hook returned is a curve for the page's own figure."""
    return isinstance(figure, Curve) and not fault_of(figure)


def _launches(shown: Path) -> list[ReportLaunch]:
    """Return the sweep's launches, the newest first, each with its own page if it has one."""
    sweep = shown.parents[1] if shown.parent.name == LAUNCHES else shown
    found = [path.parent for path in (sweep / LAUNCHES).glob(f"*/{CSV}")]
    newest_first = sorted(found, key=lambda folder: launch_stamp(folder.name), reverse=True)
    return [_launch(folder, sweep, shown) for folder in newest_first]


def _launch(folder: Path, sweep: Path, shown: Path) -> ReportLaunch:
    table = read_old(folder)
    has_page = (folder / "report.html").is_file()
    below = f"{LAUNCHES}/{folder.name}/report.html"
    return ReportLaunch(
        id=folder.name,
        when=when_of(folder.name),
        base=next(iter(table.counts("base")), "") if table else "",
        counts=table.counts("verdict") if table else {},
        href="" if not has_page else below if shown == sweep else f"../../{below}",
    )


def when_of(launch: str) -> str:
    """Return the time of a launch, from its id; empty if the id does not contain it."""
    try:
        return launch_time(launch).isoformat(" ", "minutes")
    except ValueError:
        return ""


def _scalar(value: object) -> Scalar:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
