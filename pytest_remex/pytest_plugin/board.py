"""The board of where experiments are: counts, a row for each of the most telling, what is left."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from pytest_remex.collect.failure import causes_of
from pytest_remex.collect.watch import estimate
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.interaction import clean, counted
from pytest_remex.model import Value
from pytest_remex.names import launch_time
from pytest_remex.records.index import RecordedRun
from pytest_remex.sbatch.header import format_duration

ROWS = 30
"""Rows that are shown without -v; failures come first."""
FEWEST = 5
"""Rows of each group of states that are shown, if there are as many, before others take more."""
WIDTH = 30
"""Characters of a full bar of counts."""
LIMIT_WIDTH = 6
"""Characters of a bar of how much of its time limit a job has used."""
WIDEST = 24
"""Characters of a parameter's value, at most, if that tells values apart."""
LONGEST = 44
"""Characters of an experiment's id, where no parameter varies."""
NARROW = 15
"""Characters of a value, at most, where the terminal is narrow."""
LEAST_LAST = 24
"""Characters of the last column, if it has as many, for which other columns are left out."""
FEWEST_LAST = 12
"""Characters of the last column below which it is left out itself."""
CAUSES = 8
"""Causes of failures that are told."""


@dataclass(frozen=True, slots=True)
class BoardRow:
    """An experiment and its job.

    `cause` is why it failed, equal for those that failed in the same way; `said` the last line of
    its output; `progress` how far it is, a part of 1, where that is known.
    """

    node: str
    recorded: RecordedRun
    job: Job
    cause: str = ""
    said: str = ""
    progress: float | None = None

    @property
    def point(self) -> Mapping[str, Value]:
        """What tells it from the others of its sweep."""
        return {**self.recorded.run.point, **self.recorded.run.parameters}

    @property
    def last(self) -> str:
        """The most telling line that is known of it."""
        job = self.job
        reason = "" if job.reason in {"None", "NonZeroExitCode"} else job.reason
        if job.state.failed:
            return self.said or reason
        if self.progress is not None:
            return f"{self.progress:.0%} {self.said}".rstrip()
        return self.said or reason


class Board:
    """The board, for a rich console.

    Args:
        rows: The experiments.
        most: How many rows are shown; None for all.

    """

    def __init__(self, rows: Sequence[BoardRow], most: int | None = ROWS) -> None:
        self._all = rows
        self._shown = rows if most is None else _most_telling(rows, most)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from (Text(line, "dim") for line in _head(self._all))
        yield _bars(self._all, ascii_only=options.ascii_only)
        yield _table(self._shown, self._all, options)
        if hidden := len(self._all) - len(self._shown):
            yield Text(f"and {hidden} more: -v shows them all")
        for cause, count in _causes(self._all):
            yield Text(f"{count} failed: {cause}", "red")
        if left := estimate([(each.job, each.progress) for each in self._all]):
            yield Text(left)


def _head(rows: Sequence[BoardRow]) -> list[str]:
    """Return where the runs are, and of which launches and bases."""
    launches = {row.recorded.launch.id: row.recorded.launch for row in rows}
    ordered = sorted(launches.values(), key=lambda launch: launch.id[-19:])
    if not ordered:
        return []
    places = " and ".join(dict.fromkeys(launch.remote.place for launch in ordered))
    bases = ", ".join(dict.fromkeys(launch.base[:7] for launch in reversed(ordered)))
    newest = ordered[-1].id
    more = f" and {counted(len(ordered) - 1, 'older one')}" if len(ordered) > 1 else ""
    return [places, f"launch {newest}{more}, {_when(newest)}, base {bases}"]


def _when(launch: str) -> str:
    try:
        return launch_time(launch).strftime("%a %d %b %H:%M")
    except ValueError:
        return "at an unknown time"


def _bars(rows: Sequence[BoardRow], *, ascii_only: bool) -> Table:
    counts = Counter(each.job.state for each in rows)
    table = Table.grid(padding=(0, 1))
    for state, count in sorted(counts.items(), key=lambda pair: _order(pair[0])):
        length = max(1, round(WIDTH * count / len(rows)))
        bar = ("#" if ascii_only else "█") * length
        table.add_row(Text(state, style(state)), str(count), Text(bar, style(state)))
    return table


def _causes(rows: Sequence[BoardRow]) -> list[tuple[str, int]]:
    failed = [(row.cause, row.job.reason) for row in rows if row.job.state.failed]
    found = Counter(causes_of(failed)).most_common()
    shown = found[:CAUSES]
    if rest := found[CAUSES:]:
        shown.append((f"for {len(rest)} other causes", sum(count for _, count in rest)))
    return shown


# Rows --------------------------------------------------------------------------------------------


def _most_telling(rows: Sequence[BoardRow], most: int) -> list[BoardRow]:
    """Return the rows to show, in order: some of each group of states, then more of the first."""
    ordered = sorted(rows, key=lambda each: _order(each.job.state))
    if len(ordered) <= most:
        return ordered
    seen: Counter[int] = Counter()
    first: list[int] = []
    rest: list[int] = []
    for place, row in enumerate(ordered):
        group = _order(row.job.state)[0]
        seen[group] += 1
        (first if seen[group] <= FEWEST else rest).append(place)
    return [ordered[place] for place in sorted([*first, *rest][:most])]


def _order(state: JobState) -> tuple[int, str]:
    if state.failed:
        return 0, state
    if state is JobState.UNKNOWN:
        return 1, state
    if state.live:
        return (3 if state in {JobState.PENDING, JobState.HELD} else 2), state
    return 4, state


def style(state: JobState) -> str:
    """Return a state's colour."""
    if state.failed:
        return "red"
    if state is JobState.COMPLETED:
        return "green"
    return "cyan" if state.live else "yellow"


# Columns -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Column:
    """A column; where the terminal is narrow, the most `dispensable` are left out, 0 never.

    `names` says that it tells experiments apart; `narrow` are other cells for a narrow terminal.
    """

    title: str
    cells: Sequence[Text]
    dispensable: int = 0
    right: bool = False
    names: bool = False
    narrow: Sequence[Text] = ()

    @property
    def width(self) -> int:
        return max(map(cell_len, (*self.title.split("\n"), *(cell.plain for cell in self.cells))))

    def narrower(self) -> _Column:
        """Return the column with its title on several lines, and long values shortened."""
        if not self.names:
            return replace(self, cells=self.narrow or self.cells)
        title = self.title.replace("_", "_\n").rstrip("\n")
        cells = [Text(_middle(cell.plain, NARROW), cell.style) for cell in self.cells]
        tells_apart = len({*map(str, cells)}) == len({*map(str, self.cells)})
        return replace(self, title=title, cells=cells if tells_apart else self.cells)


def _table(shown: Sequence[BoardRow], every: Sequence[BoardRow], options: ConsoleOptions) -> Table:
    limits = [_limit_bar(row.job, ascii_only=options.ascii_only) for row in shown]
    bars = [limit[:LIMIT_WIDTH] for limit in limits]
    columns = [
        *_naming(shown, every),
        _Column("job", [Text(row.job.id) for row in shown]),
        _Column("state", [Text(row.job.state, style(row.job.state)) for row in shown]),
        _Column("elapsed", [Text(_clock(row.job.elapsed)) for row in shown], 1, right=True),
        _Column("of limit", limits, 3, narrow=bars),
        _Column("exit", [Text(_exit(row.job)) for row in shown], 2, right=True),
    ]
    kept = [each for each in columns if any(cell.plain for cell in each.cells)]
    said = [clean(row.last) for row in shown]
    kept = _fitting(
        kept, options.max_width - 1, min(LEAST_LAST, max(map(cell_len, said), default=0))
    )
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    for column in kept:
        table.add_column(
            column.title,
            no_wrap=True,
            width=column.width,
            justify="right" if column.right else "left",
        )
    room = options.max_width - _total(kept)
    if any(said) and room >= FEWEST_LAST:
        table.add_column("reason or output", no_wrap=True, width=room)
        last = [Text(by_words(text, room), style="dim") for text in said]
        kept.append(_Column("", last))
    for cells in zip(*(column.cells for column in kept), strict=True):
        table.add_row(*cells)
    return table


def _naming(shown: Sequence[BoardRow], every: Sequence[BoardRow]) -> list[_Column]:
    """Return the columns that tell experiments apart: the sweep, and the parameters that vary."""
    columns = []
    if len({row.recorded.launch.name for row in every}) > 1:
        names = [row.recorded.launch.name for row in shown]
        columns.append(_Column("sweep", [Text(_middle(clean(name))) for name in names], names=True))
    points = [row.point for row in every]
    names = list(dict.fromkeys(name for point in points for name in point))
    for name in names:
        texts = short([point.get(name) for point in points])
        if len(set(texts.values())) > 1:
            cells = [Text(texts[repr(row.point.get(name))]) for row in shown]
            columns.append(_Column(_middle(clean(name)), cells, names=True))
    if not columns:
        columns.append(
            _Column(
                "experiment",
                [Text(_middle(clean(_name(row)), LONGEST)) for row in shown],
                names=True,
            )
        )
    return columns


def _name(row: BoardRow) -> str:
    return row.recorded.run.id or row.recorded.launch.name


def _fitting(columns: list[_Column], width: int, last: int) -> list[_Column]:
    """Make columns narrower, then leave out what is dispensable, until all and the last one fit."""
    if _total(columns) + last > width:
        columns = [each.narrower() for each in columns]
    kept = list(columns)
    while _total(kept) + last > width:
        most = max(kept, key=lambda each: each.dispensable)
        if not most.dispensable:
            break
        kept.remove(most)
    return kept


def _total(columns: Sequence[_Column]) -> int:
    return sum(column.width + 2 for column in columns)


def short(values: Sequence[Value]) -> dict[str, str]:
    """Return values as text by their `repr`, numbers with as few digits as tell them apart."""
    distinct = {repr(value): value for value in values}
    for digits in range(3, 18):
        texts = {key: _shown(value, digits) for key, value in distinct.items()}
        if len(set(texts.values())) == len(texts):
            return texts
    return {key: _shown(value, 17) for key, value in distinct.items()}


def _shown(value: Value, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, str):
        return _middle(clean(" ".join(value.split())), WIDEST + 4 * (digits - 3))
    return _middle(clean(json.dumps(value, ensure_ascii=False)), WIDEST + 4 * (digits - 3))


def _middle(text: str, width: int = WIDEST) -> str:
    """Return a text of at most `width` characters, its middle left out."""
    if cell_len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{text[:half]}…{text[-half:]}"


def by_words(text: str, width: int) -> str:
    """Return the beginning of a text in one line, cut between words where that is possible."""
    line = " ".join(text.split())
    if cell_len(line) <= width:
        return line
    cut = set_cell_size(line, width - 2)
    whole = cut if line[len(cut) : len(cut) + 1].isspace() else cut.rpartition(" ")[0]
    return f"{(whole or cut).rstrip()} …"


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else format_duration(seconds).removeprefix("0")


def _limit_bar(job: Job, *, ascii_only: bool) -> Text:
    if job.elapsed is None or not job.time_limit:
        return Text("")
    used = min(LIMIT_WIDTH, round(LIMIT_WIDTH * job.elapsed / job.time_limit))
    full, empty = ("#", ".") if ascii_only else ("█", "░")
    bar = full * used + empty * (LIMIT_WIDTH - used)
    return Text(f"{bar} {_clock(job.time_limit)}", style(job.state))


def _exit(job: Job) -> str:
    if job.signal:
        return f"sig {job.signal}"
    return str(job.exit_code) if job.exit_code else ""
