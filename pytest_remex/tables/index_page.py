"""The page `index.html` of the output folder: all sweeps that have results there."""

from __future__ import annotations

from pathlib import Path

from pytest_remex.io import writing
from pytest_remex.report import Sweep, write_index
from pytest_remex.tables.merge import INDEX, LAUNCHES, read_old
from pytest_remex.tables.page import bases, counts_of, when_of
from pytest_remex.tables.table import CSV


def update_index(output: Path) -> None:
    """Write the index of an output folder anew.

    Raises:
        RecordError: It cannot be written.

    """
    folders = sorted(path.parent for path in output.glob(f"*/{CSV}"))
    with writing(output / INDEX):
        write_index(output / INDEX, [_sweep(folder) for folder in folders])


def _sweep(folder: Path) -> Sweep:
    table = read_old(folder)
    launches = sorted((path.parent.name for path in folder.glob(f"{LAUNCHES}/*/{CSV}")), key=_time)
    names = {"report": "report.html", "results": CSV, "links": "links"}
    return Sweep(
        name=folder.name,
        when=when_of(launches[-1]) if launches else "",
        base=", ".join(base[:12] for base in bases(table)) if table else "",
        counts=counts_of(table) if table else {},
        launches=len(launches),
        links=tuple(
            (name, f"{folder.name}/{file}")
            for name, file in names.items()
            if (folder / file).exists()
        ),
    )


def _time(launch: str) -> str:
    return launch[-19:]
