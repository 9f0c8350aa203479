"""Read jobs' output while it is being written: its end, or what was added since."""

from __future__ import annotations

import functools
import getpass
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_remex.collect.query import QueryOptions, query
from pytest_remex.common.parts import LogPart
from pytest_remex.common.protocol import LogText, ReadLogs
from pytest_remex.display import clean
from pytest_remex.model import Remote
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import RunRecord
from pytest_remex.sbatch.header import output_patterns
from pytest_remex.transport import Connect

END = 8192
"""How many bytes at the end of a job's output are read to see its progress or failure."""
PIECE = 1 << 18
"""How many bytes of followed output are read at a time."""
PAUSE = 1.0
"""Seconds between reads of followed output."""
FIRST, LAST, GROWTH = 1.0, 15.0, 1.5
"""Exponential back-off of queries: first and longest pause in seconds, and the factor."""


def log_patterns(run: RunRecord) -> tuple[str, ...]:
    """Return globs for a run's output in its run directory, standard output first."""
    return output_patterns(run.header, run.job, user=_user())


@functools.cache
def _user() -> str:
    return getpass.getuser()


def read_ends(
    runs: Iterable[RecordedRun], connect: Connect, most: int = END
) -> dict[str, list[LogText]]:
    """Return the end of each file of runs' output, by run directory; one request for each remote.

    Raises:
        RemoteError: A remote cannot be queried.

    """
    parts: dict[Remote, list[LogPart]] = {}
    for each in runs:
        for pattern in log_patterns(each.run):
            part = LogPart(each.run.directory, pattern, -most, most)
            parts.setdefault(each.launch.remote, []).append(part)
    found: dict[str, list[LogText]] = {}
    for remote, wanted in parts.items():
        for piece in _read(remote, wanted, connect):
            found.setdefault(piece.directory, []).append(piece)
    return found


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
