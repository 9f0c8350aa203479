"""The table of --remex-status: counts, a row for each of the most telling experiments, the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from pytest_remex.collect.failure import causes_of
from pytest_remex.collect.shortening import (
    cut_between_words,
    cut_middle,
    shorten_texts,
    shorten_values,
)
from pytest_remex.collect.watch import estimate
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.display import clean, counted
from pytest_remex.model import REPLICATE, Value
from pytest_remex.names import launch_stamp, launch_time
from pytest_remex.records.index import RecordedRun
from pytest_remex.sbatch.options import format_duration

ROWS = 30
"""Rows that are shown without -v; failures come first."""
FEWEST = 5
"""Rows of each state that are shown, if there are as many, before others take more."""
WIDTH = 30
"""Characters of a full bar of counts."""
LIMIT_WIDTH = 6
"""Characters of a bar of how much of its time limit a job has used."""
LONGEST = 44
"""Characters of an experiment's id, if no parameter varies."""
_TITLE_AND_END = 6
"""Lines of the columns' titles, and below the rows and causes."""
_OF_A_STAGE = 3
"""Lines that each further stage takes: its name, a title, and how many are hidden."""
CAUSES = 8
"""The most causes of failures to show."""


@dataclass(frozen=True, slots=True)
class StatusRow:
    """An experiment and its job.

    `cause` is why it failed, the same for those that failed alike; `last_line` is of its output;
    `progress` is its progress from 0 to 1, if known.
    """

    node: str
    recorded: RecordedRun
    job: Job
    cause: str = ""
    last_line: str = ""
    progress: float | None = None
    variant: str = ""
    """The title of its variant of the grid."""

    @property
    def point(self) -> Mapping[str, Value]:
        """The values that distinguish it from others of its sweep."""
        return {**self.recorded.run.point, **self.recorded.run.parameters}

    def value(self, name: str) -> Value:
        """Return a parameter's value; if some runs are replicates, the others are the first."""
        return self.point.get(name, 1 if name == REPLICATE else None)

    @property
    def last(self) -> str:
        """The most informative line that is known about it."""
        job = self.job
        reason = "" if job.reason in {"None", "NonZeroExitCode"} else job.reason
        if job.state.failed:
            return self.last_line or reason
        if self.progress is not None:
            return f"{self.progress:.0%} {self.last_line}".rstrip()
        return self.last_line or reason


class StatusTable:
    """The status table, for a rich console.

    Args:
        rows: The experiments.
        most: How many rows to show; None for all.

    """

    def __init__(self, rows: Sequence[StatusRow], most: int | None = ROWS) -> None:
        self._all = rows
        self._most = most
        self._stages = _stages(rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from (Text(line, "dim") for line in _head(self._all))
        for name, rows in self._stages.items():
            if len(self._stages) > 1:
                yield Text(f"stage {clean(name)}", "bold")
            yield from self._stage(rows, options)
        yield from (Text(line, "red") for line in _causes(self._all))
        if left := estimate([(each.job, each.progress) for each in self._all]):
            yield Text(left)

    def _stage(self, rows: Sequence[StatusRow], options: ConsoleOptions) -> RenderResult:
        shown = rows
        if self._most is not None:
            shown = _most_telling(rows, max(FEWEST, self._most // len(self._stages)))
        yield _bars(rows, ascii_only=options.ascii_only)
        yield _table(shown, rows, options)
        if hidden := len(rows) - len(shown):
            yield Text(f"and {hidden} more: -v shows them all")


def _stages(rows: Sequence[StatusRow]) -> Mapping[str, Sequence[StatusRow]]:
    """Return the rows by stage, in order; all in one group if there are no stages."""
    is_one = len({row.variant for row in rows}) < 2  # noqa: PLR2004 - one variant of the grid
    if is_one and not any(row.recorded.run.upstream for row in rows):
        return {"": rows}
    directories = {row.recorded.run.directory: row.recorded for row in rows}

    def depth(row: StatusRow) -> int:
        run, count = row.recorded.run, 0
        while run.upstream is not None:
            count += 1
            before = directories.get(run.upstream.directory)
            if before is None:
                break
            run = before.run
        return count

    stages: dict[str, list[StatusRow]] = {}
    for row in sorted(rows, key=depth):
        name = row.recorded.launch.name if is_one else f"{row.recorded.launch.name} {row.variant}"
        stages.setdefault(name.rstrip(), []).append(row)
    return stages


def lines_around(rows: Sequence[StatusRow], width: int) -> int:
    """Return the most lines that a table has above and below its rows, for a terminal's width."""
    texts = [*_head(rows), *_causes(rows)]
    stages = _stages(rows)
    states = sum(len({row.job.state for row in stage}) for stage in stages.values())
    states += _OF_A_STAGE * (len(stages) - 1)
    return states + sum(-(-cell_len(text) // width) for text in texts) + _TITLE_AND_END


def _head(rows: Sequence[StatusRow]) -> list[str]:
    """Return the head lines: where the runs are, their launches and their bases."""
    launches = {row.recorded.launch.id: row.recorded.launch for row in rows}
    ordered = sorted(launches.values(), key=lambda launch: launch_stamp(launch.id))
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


def _bars(rows: Sequence[StatusRow], *, ascii_only: bool) -> Table:
    counts = Counter(each.job.state for each in rows)
    table = Table.grid(padding=(0, 1))
    for state, count in sorted(counts.items(), key=lambda pair: _order(pair[0])):
        length = max(1, round(WIDTH * count / len(rows)))
        bar = ("#" if ascii_only else "█") * length
        table.add_row(Text(state, style(state)), str(count), Text(bar, style(state)))
    return table


def _causes(rows: Sequence[StatusRow]) -> list[str]:
    """Return a line for each cause of failure, the most frequent first."""
    failed = [row for row in rows if row.job.state.failed]
    words = ["purged" if row.job.state is JobState.PURGED else "failed" for row in failed]
    causes = causes_of([(row.cause, row.job.reason) for row in failed])
    found = Counter(zip(words, causes, strict=True)).most_common()
    lines = [f"{count} {word}: {cause}" for (word, cause), count in found[:CAUSES]]
    if rest := found[CAUSES:]:
        lines.append(f"{sum(count for _, count in rest)} for {len(rest)} other causes")
    return lines


# Rows --------------------------------------------------------------------------------------------


def _most_telling(rows: Sequence[StatusRow], most: int) -> list[StatusRow]:
    """Return the rows to show, in order: some of each state, then more of the first ones."""
    ordered = sorted(rows, key=lambda each: _order(each.job.state))
    if len(ordered) <= most:
        return ordered
    seen: Counter[JobState] = Counter()
    first: list[int] = []
    rest: list[int] = []
    for place, row in enumerate(ordered):
        seen[row.job.state] += 1
        (first if seen[row.job.state] <= FEWEST else rest).append(place)
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
    """A column; `names` says that it tells experiments apart, `narrow` is it on less room."""

    title: str
    cells: Sequence[Text]
    right: bool = False
    names: bool = False
    narrow: _Column | None = None

    @property
    def width(self) -> int:
        return max(map(cell_len, (*self.title.split("\n"), *(cell.plain for cell in self.cells))))

    def narrower(self, width: int) -> _Column:
        """Return the column on less room: a name with its title on several lines, shortened."""
        if not self.names:
            return self.narrow or self
        parts = [
            cut_middle(part, width) for part in self.title.replace("_", "_\n").split("\n") if part
        ]
        texts = shorten_texts([cell.plain for cell in self.cells], width)
        return replace(self, title="\n".join(parts), cells=[Text(text) for text in texts])


@dataclass(frozen=True, slots=True)
class _Layout:
    """A way to lay out the columns.

    `names` is the width of those that name experiments, None for as much as they like; `without`
    are left out; `last` is the least width of the last column, the reason or output, 0 for none.
    """

    names: int | None
    without: frozenset[str]
    last: int


_EXIT, _ELAPSED, _LIMIT = "exit", "elapsed", "of limit"
_LAYOUTS = (
    _Layout(None, frozenset(), 24),
    _Layout(15, frozenset(), 24),
    _Layout(12, frozenset({_EXIT}), 24),
    _Layout(10, frozenset({_EXIT}), 18),
    _Layout(10, frozenset({_EXIT, _ELAPSED}), 16),
    _Layout(8, frozenset({_EXIT, _ELAPSED}), 12),
    _Layout(12, frozenset({_EXIT, _ELAPSED}), 0),
    _Layout(10, frozenset({_EXIT, _ELAPSED}), 0),
    _Layout(8, frozenset({_EXIT, _ELAPSED}), 0),
    _Layout(8, frozenset({_EXIT, _ELAPSED, _LIMIT}), 0),
)
"""Layouts for ever narrower terminals: the first that fits is taken."""


def _table(
    shown: Sequence[StatusRow], every: Sequence[StatusRow], options: ConsoleOptions
) -> Table:
    last_lines = [clean(row.last) for row in shown]
    kept, last = _laid_out(
        [*_naming(shown, every), *_job_columns(shown, ascii_only=options.ascii_only)],
        options.max_width,
        max(map(cell_len, last_lines), default=0),
    )
    table = Table(box=None, padding=(0, 1), header_style="bold", pad_edge=False)
    for column in kept:
        table.add_column(
            column.title,
            no_wrap=True,
            width=column.width,
            justify="right" if column.right else "left",
        )
    if last:
        table.add_column("reason or output"[:last], no_wrap=True, width=last)
        kept.append(
            _Column("", [Text(cut_between_words(text, last), style="dim") for text in last_lines])
        )
    for cells in zip(*(column.cells for column in kept), strict=True):
        table.add_row(*cells)
    return table


def _job_columns(shown: Sequence[StatusRow], *, ascii_only: bool) -> list[_Column]:
    """Return the columns of what is known of the jobs."""
    limits = [_limit_bar(row.job, ascii_only=ascii_only) for row in shown]
    bars = _Column("of\nlimit", [limit[:LIMIT_WIDTH] for limit in limits])
    return [
        _Column("job", [Text(row.job.id) for row in shown]),
        _Column("state", [Text(row.job.state, style(row.job.state)) for row in shown]),
        _Column(_ELAPSED, [Text(_clock(row.job.elapsed)) for row in shown], right=True),
        _Column(_LIMIT, limits, narrow=bars),
        _Column(_EXIT, [Text(_exit(row.job)) for row in shown], right=True),
    ]


def _laid_out(columns: Sequence[_Column], width: int, longest: int) -> tuple[list[_Column], int]:
    """Return the columns in the first layout that fits, and the width of the last column.

    If even the narrowest is too wide, the last names are left out.
    """
    filled = [each for each in columns if any(cell.plain for cell in each.cells)]
    kept: list[_Column] = filled
    for layout in _LAYOUTS:
        kept = [each for each in filled if each.title not in layout.without]
        if layout.names is not None:
            kept = [each.narrower(layout.names) for each in kept]
        room = width - _total(kept)
        if room >= min(layout.last, longest):
            return kept, (
                min(room, max(longest, len("reason or output"))) if layout.last and longest else 0
            )
    while _total(kept) - 2 > width and sum(each.names for each in kept) > 1:
        kept.remove([each for each in kept if each.names][-1])
    return kept, 0


def _naming(shown: Sequence[StatusRow], every: Sequence[StatusRow]) -> list[_Column]:
    """Return the columns that identify experiments: the sweep, and the parameters that vary."""
    columns = []
    if len({row.recorded.launch.name for row in every}) > 1:
        names = [row.recorded.launch.name for row in shown]
        columns.append(
            _Column("sweep", [Text(cut_middle(clean(name))) for name in names], names=True)
        )
    names = list(dict.fromkeys(name for row in every for name in row.point))
    for name in names:
        texts = shorten_values([row.value(name) for row in every])
        if len(set(texts.values())) > 1:
            cells = [Text(texts[repr(row.value(name))]) for row in shown]
            columns.append(_Column(cut_middle(clean(name)), cells, names=True))
    if not columns:
        columns.append(
            _Column(
                "experiment",
                [Text(cut_middle(clean(_name(row)), LONGEST)) for row in shown],
                names=True,
            )
        )
    return columns


def _name(row: StatusRow) -> str:
    return row.recorded.run.id or row.recorded.launch.name


def _total(columns: Sequence[_Column]) -> int:
    return sum(column.width + 2 for column in columns)


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
