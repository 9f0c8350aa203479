"""Watch runs that are not fetched yet: their output, why some failed, what is left of others."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from pytest_remex.collect.failure import TAIL_LINES, job_cause, telling_line
from pytest_remex.collect.manifest import JudgedNote, read_judged, write_judged
from pytest_remex.collect.query import QueryOptions, query
from pytest_remex.collect.runs import WITHOUT_OUTPUT, log_patterns
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.parts import LogPart
from pytest_remex.common.protocol import LogText, ReadLogs
from pytest_remex.display import clean, counted
from pytest_remex.io import writing
from pytest_remex.model import Remote
from pytest_remex.records.index import RecordedRun

if TYPE_CHECKING:
    from pytest_remex.transport.connection import Connect

END = 8192
"""How many bytes at the end of a job's output are read to see its progress or failure."""
PIECE = 1 << 18
"""How many bytes of followed output are read at a time."""
PAUSE = 1.0
"""Seconds between reads of followed output."""
FIRST, LAST, GROWTH = 1.0, 15.0, 1.5
"""Exponential back-off of queries: first and longest pause in seconds, and the factor."""
MOST = 500
"""The most running jobs, and the most failed jobs, whose output is read."""
_SEEN = "seen "
"""Prefix of the job id in a note that was made by status, before any collect."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_STARTED = frozenset({JobState.RUNNING, JobState.COMPLETING, JobState.SUSPENDED})


def read_ends(
    runs: Iterable[RecordedRun], connect: Connect, most: int = END
) -> dict[str, list[LogText]]:
    """Return the end of each file of runs' output, by run directory; one request for each remote.

    Raises:
        RemoteError: A remote cannot be queried.

    """
    parts = grouped(
        (each.launch.remote, LogPart(each.run.directory, pattern, -most, most))
        for each in runs
        for pattern in log_patterns(each.run)
    )
    return grouped(
        (piece.directory, piece)
        for remote, wanted in parts.items()
        for piece in _read(remote, wanted, connect)
    )


def text_of(pieces: Sequence[LogText]) -> str:
    """Return pieces of a run's output as one text that is safe to show."""
    return "\n".join(clean(piece.text) for piece in pieces if piece.text)


def last_line(text: str) -> str:
    """Return the last line of a text that is not empty; a carriage return also ends a line."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


@dataclass(frozen=True, slots=True)
class NewText:
    """Text that was added to a file of a job's output."""

    path: str
    text: str


def follow(
    recorded: RecordedRun,
    ends: Sequence[LogText],
    connect: Connect,
    options: QueryOptions,
    *,
    least: float = 0.0,
) -> Iterator[NewText]:
    """Yield what is added to a run's output, until its job has ended.

    Args:
        recorded: The run.
        ends: What was read before, as returned by `read_ends`.
        connect: Returns the connection to a remote.
        options: What each query of the scheduler does.
        least: The least number of seconds between queries of the scheduler.

    Raises:
        RemoteError: A remote cannot be queried.
        RecordError: A final state cannot be written, and the options do not say otherwise.

    """
    log, asking = _FollowedLog(recorded, ends), FIRST
    asked = time.monotonic()
    while True:
        yield from log.read(connect)
        if time.monotonic() - asked >= max(asking, least):
            job = query([recorded], connect, options)[recorded.run.directory]
            asked, asking = time.monotonic(), min(asking * GROWTH, LAST)
            if not job.state.live:
                yield from log.read(connect)
                return
        time.sleep(PAUSE)


class _FollowedLog:
    """The output of one run, read from where the last read ended."""

    def __init__(self, recorded: RecordedRun, ends: Sequence[LogText]) -> None:
        self._recorded = recorded
        self._from: dict[str, int] = {
            each.pattern: each.start + _bytes(each.text) for each in ends if not each.refused
        }

    def read(self, connect: Connect) -> Iterator[NewText]:
        run, remote = self._recorded.run, self._recorded.launch.remote
        grows = True
        while grows:
            parts = [
                LogPart(run.directory, pattern, self._from.get(pattern, 0), PIECE)
                for pattern in log_patterns(run)
            ]
            grows = False
            for piece in list(_read(remote, parts, connect)):
                if piece.size < self._from.get(piece.pattern, 0):
                    self._from[piece.pattern] = 0  # the file was truncated
                    grows = True
                elif piece.text:
                    self._from[piece.pattern] = piece.start + _bytes(piece.text)
                    grows = self._from[piece.pattern] < piece.size or grows
                    yield NewText(piece.path, clean(piece.text))


def _read(remote: Remote, parts: Sequence[LogPart], connect: Connect) -> Iterator[LogText]:
    connection = connect(remote)
    for event in connection.ask(ReadLogs(connection.remote.runs, list(parts))):
        if isinstance(event, LogText):
            yield event


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True)
class OutputSummary:
    """What a job's output says: its end, the most important line, and the cause if it failed."""

    text: str = ""
    line: str = ""
    cause: str = ""


class OutputWatcher:
    """Read the output of jobs: of running jobs every time, of failed jobs once.

    Args:
        folder: The folder for outputs; notes on failed jobs are stored in the runs' folders.
        connect: Returns the connection to a remote.

    """

    def __init__(self, folder: Path, connect: Connect) -> None:
        self._folder = folder
        self._connect = connect
        self._summaries: dict[str, OutputSummary] = {}

    def of(self, recorded: RecordedRun) -> OutputSummary:
        """Return what is known about a run's output."""
        return self._summaries.get(recorded.run.directory, OutputSummary())

    def read(self, watched: Sequence[tuple[RecordedRun, Job]]) -> None:
        """Read the output of runs with their jobs; one request per remote.

        Raises:
            RemoteError: A remote cannot be queried.
            RecordError: A note cannot be written; by then everything was read.

        """
        failed = [
            (recorded, job)
            for recorded, job in watched
            if job.state.failed and job.state not in WITHOUT_OUTPUT
            if not self._is_known(recorded, job)
        ]
        asked = failed[:MOST]
        running = [pair for pair in watched if pair[1].state in _STARTED][:MOST]
        ends = read_ends([recorded for recorded, _ in [*asked, *running]], self._connect)
        texts = {name: text_of(pieces) for name, pieces in ends.items()}
        for recorded, _ in running:
            text = texts.get(recorded.run.directory, "")
            self._summaries[recorded.run.directory] = OutputSummary(text, last_line(text))
        for recorded, job in failed:
            text = texts.get(recorded.run.directory, "")
            cause = job_cause(job, text)
            self._summaries[recorded.run.directory] = OutputSummary(text, telling_line(text), cause)
        for recorded, job in failed:
            self._keep(recorded, job, self._summaries[recorded.run.directory])

    def _is_known(self, recorded: RecordedRun, job: Job) -> bool:
        directory = recorded.run.directory
        if directory in self._summaries and self._summaries[directory].cause:
            return True
        note = read_judged(self._folder / directory)
        if not note.cause or note.job not in {job.id, _SEEN + job.id}:
            return False
        self._summaries[directory] = OutputSummary(
            note.log, note.cause.partition(": ")[2], note.cause
        )
        return True

    def _keep(self, recorded: RecordedRun, job: Job, summary: OutputSummary) -> None:
        if not summary.text:
            return
        folder = self._folder / recorded.run.directory
        log = "\n".join(summary.text.splitlines()[-TAIL_LINES:])
        with writing(folder):
            (folder / ".remex").mkdir(parents=True, exist_ok=True)
        write_judged(folder, JudgedNote(job=_SEEN + job.id, log=log, cause=summary.cause))


def estimate(jobs: Sequence[tuple[Job, float | None]]) -> str:
    """Return a sentence on what is left; empty if all have ended.

    Args:
        jobs: The jobs, each with its progress from 0 to 1, if known.

    """
    live = [(job, progress) for job, progress in jobs if job.state.live]
    if not live:
        return ""
    running = [(job, progress) for job, progress in live if job.state in _STARTED]
    left = f"{counted(len(live), 'job')} left, {len(running)} of them running"
    whole = _whole_times(jobs)
    if not whole:
        return f"{left}: no estimate before one has completed"
    mean = fmean(whole)
    known = f"{counted(len(whole), 'job')} of {readable(mean)}" + (" on average" * (len(whole) > 1))
    if not running:
        return f"{left}: about {readable(mean)} each, by {known}"
    if any(not progress and (job.elapsed or 0.0) > mean for job, progress in running):
        return f"{left}: no estimate, as one runs longer than {known}"
    rest = [_rest(job, progress, mean) for job, progress in running]
    waiting = mean * (len(live) - len(running))
    seconds = max(*rest, (sum(rest) + waiting) / len(running))
    return f"{left}: about {readable(seconds)} to go, by {known}"


def _whole_times(jobs: Sequence[tuple[Job, float | None]]) -> list[float]:
    """Return how long jobs took, or will probably take, judging by their progress."""
    return [
        job.elapsed / (1.0 if job.state is JobState.COMPLETED else progress or 1.0)
        for job, progress in jobs
        if job.elapsed and (job.state is JobState.COMPLETED or (job.state.live and progress))
    ]


def _rest(job: Job, progress: float | None, mean: float) -> float:
    elapsed = job.elapsed or 0.0
    rest = elapsed * (1 - progress) / progress if progress else mean - elapsed
    return max(0.0, rest)


def readable(seconds: float) -> str:
    """Format a duration for people: `40 s`, `12 min`, `3 h`, `2 days`."""
    if seconds < 1.5 * _MINUTE:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    if seconds < 1.5 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} days"
