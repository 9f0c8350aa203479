"""The table of where experiments are: a bar for each state, and a row for each experiment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.records.schema import Launch, RunRecord
from pytest_remex.sbatch.header import format_duration

ROWS = 30
"""Rows that are shown without -v; failures come first."""

WIDTH = 30
"""Characters of a full bar."""


@dataclass(frozen=True, slots=True)
class StatusRow:
    """An experiment and its job."""

    node: str
    run: RunRecord
    launch: Launch
    job: Job


class StatusTable:
    """A table of experiments, for a rich console; `verbose` shows a row for every one."""

    def __init__(self, rows: Sequence[StatusRow], *, verbose: bool = False) -> None:
        self._all = rows
        self._verbose = verbose

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._bars()
        yield self._rows()
        if hidden := len(self._all) - len(self._shown()):
            yield Text(f"and {hidden} more: -v shows them all")

    def _bars(self) -> Table:
        counts = Counter(each.job.state for each in self._all)
        table = Table.grid(padding=(0, 1))
        for state, count in sorted(counts.items(), key=lambda pair: _order(pair[0])):
            length = max(1, round(WIDTH * count / len(self._all)))
            table.add_row(Text(state, style(state)), str(count), Text("█" * length, style(state)))
        return table

    def _rows(self) -> Table:
        table = Table(box=None, padding=(0, 1), header_style="bold")
        with_reasons = any(each.job.reason for each in self._shown())
        table.add_column("experiment", overflow="fold")
        for title in ("job", "state", "elapsed"):
            table.add_column(title, no_wrap=True)
        if with_reasons:
            table.add_column("reason", overflow="fold")
        for each in self._shown():
            cells = _cells(each)
            table.add_row(*(cells if with_reasons else cells[:-1]))
        return table

    def _shown(self) -> Sequence[StatusRow]:
        ordered = sorted(self._all, key=lambda each: _order(each.job.state))
        return ordered if self._verbose else ordered[:ROWS]


def style(state: JobState) -> str:
    """Return a state's colour."""
    if state.failed:
        return "red"
    if state is JobState.COMPLETED:
        return "green"
    return "cyan" if state.live else "yellow"


def _cells(row: StatusRow) -> list[Text]:
    job = row.job
    elapsed = "" if job.elapsed is None else format_duration(job.elapsed)
    return [
        Text(row.run.id),
        Text(job.id),
        Text(job.state, style(job.state)),
        Text(elapsed),
        Text(job.reason),
    ]


def _order(state: JobState) -> tuple[int, str]:
    if state.failed:
        return 0, state
    if state is JobState.UNKNOWN:
        return 1, state
    if state.live:
        return (3 if state is JobState.PENDING else 2), state
    return 4, state
