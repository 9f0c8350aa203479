"""What a report shows: a page of rows, one row an experiment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_remex.model import Scalar


@dataclass(frozen=True, slots=True)
class Row:
    """An experiment as the report shows it. Any text is allowed in any field.

    `verdict` is what collect says of it (PASSED, FAILED, RUNNING...), `state` the job's state, and
    `reason` the first thing to know when it went wrong. `values` holds the point's parameters and
    the measures, by column; a column that is missing here is shown empty. `elapsed` is in seconds.
    `directory` names the run directory. `images` and the second item of each of `outputs` are
    paths relative to the folder of the page, as the file system has them; the report
    percent-encodes them.
    """

    node: str
    verdict: str
    state: str = ""
    reason: str = ""
    values: Mapping[str, Scalar] = field(default_factory=dict)
    job: str = ""
    elapsed: float | None = None
    commit: str = ""
    parent: str = ""
    directory: str = ""
    diff: str = ""
    log: str = ""
    outputs: tuple[tuple[str, str], ...] = ()
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A report: facts of the sweep, its parameter and measure columns, rows, and own figures.

    `dimensions` names the parameters in the grid's order, `measures` what the sweep returned, and
    `figures` are Plotly figures to show as they are.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    dimensions: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    rows: Sequence[Row] = ()
    figures: Sequence[object] = ()
