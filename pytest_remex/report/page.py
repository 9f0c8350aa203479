"""The content of a report, as frozen data: a page of rows, one row per experiment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_remex.model import Scalar


@dataclass(frozen=True, slots=True)
class ReportRow:
    """An experiment as the report shows it. Any text is allowed in any field.

    Attributes:
        node: The node id.
        verdict: The verdict of collect (PASSED, FAILED, RUNNING...).
        state: The job's state.
        reason: Why it failed; the first line says the most.
        values: The point's parameters and the measures, by column; a missing one is shown empty.
        job: The job's id.
        elapsed: Seconds that the job ran.
        commit: The experiment's commit.
        parent: The base commit.
        directory: The name of the run directory.
        diff: The patch.
        log: The end of the job's output.
        outputs: Name and path of each output, relative to the page's folder, as the file system
            has them; the report percent-encodes them.
        images: Paths of the outputs that are images, likewise.
        cause: Equal for rows that went wrong in the same way; "" is the reason's first line.
        launch: The id of the launch that submitted it.
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
    cause: str = ""
    launch: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve of an experiment, at full resolution; the page gets it thinned.

    Attributes:
        experiment: The `directory` of its row, or the row's `node`.
        name: Curves of the same name are laid over each other.
        x: Its points' coordinates across, any number of them, in the order of the line.
        y: Their coordinates up; a value that is not finite is a gap.
        x_label: The title of the axis across.
        y_label: The title of the axis up.
        x_reversed: Whether x grows to the left, as in a Hertzsprung-Russell diagram.
    """

    experiment: str
    name: str
    x: Sequence[float]
    y: Sequence[float]
    x_label: str = ""
    y_label: str = ""
    x_reversed: bool = False


@dataclass(frozen=True, slots=True)
class Overlay:
    """Observed or reference data that is laid over a figure of the page.

    It is drawn if `x` and `y` are the columns of the figure, or if `curve` is the name of the
    curves that are shown.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    x: str = ""
    y: str = ""
    curve: str = ""
    line: bool = False


@dataclass(frozen=True, slots=True)
class ReportLaunch:
    """A launch of the page's sweep; `href` is its own page, relative to this one, if it has one."""

    id: str
    when: str = ""
    base: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    href: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A report: facts of the sweep, its parameter and measure columns, rows, and what they show.

    Attributes:
        title: The sweep's name.
        facts: Facts to show above the rows, by name.
        dimensions: The parameters, in the grid's order.
        measures: What the sweep recorded.
        rows: The experiments.
        figures: Plotly figures to show as they are, and `Overlay`s.
        curves: The experiments' curves.
        launches: The sweep's launches, newest first.
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    dimensions: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    rows: Sequence[ReportRow] = ()
    figures: Sequence[object] = ()
    curves: Sequence[Curve] = ()
    launches: Sequence[ReportLaunch] = ()


@dataclass(frozen=True, slots=True)
class IndexedSweep:
    """A sweep as the index of all sweeps lists it.

    `links` are names and paths relative to the index: the first is the sweep's own page.
    """

    name: str
    when: str = ""
    base: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    launches: int = 0
    links: tuple[tuple[str, str], ...] = ()
