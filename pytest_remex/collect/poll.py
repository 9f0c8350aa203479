"""Wait until jobs have ended: poll with exponential back-off, and reconnect if the link breaks.

A cluster's controller serves everyone: it is polled at most every half minute by default, and less
often the slower it answers. A wait may last days: a broken link is reopened automatically, as long
as that does not need the user.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_remex.collect.query import QueryOptions, query
from pytest_remex.common.jobs import Job
from pytest_remex.errors import ConnectionLostError, UnreachableError
from pytest_remex.records.index import RecordedRun
from pytest_remex.transport import Connections

FIRST, LAST, GROWTH = 1.0, 60.0, 1.3
"""Exponential back-off of polls: first and longest pause in seconds, and the factor."""
SHARE = 10.0
"""The pause is at least this many times as long as the last answer took, except after the first."""
RETRY_FIRST, RETRY_LAST, RETRY_GROWTH = 5.0, 300.0, 2.0
"""The same back-off for attempts to reconnect."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How to wait.

    Attributes:
        limit: Seconds to wait in all: None to query once, 0 for no limit.
        least: The least number of seconds between polls of a cluster; local polls are quicker.
        announce: Shows a line to the user.
        options: What each query does.
    """

    limit: float | None
    least: float
    announce: Callable[[str], None]
    options: QueryOptions = field(default_factory=QueryOptions)


def poll(
    runs: Sequence[RecordedRun], connections: Connections, pace: Pace
) -> Iterator[dict[str, Job]]:
    """Query runs until all jobs have ended, and yield all jobs by run directory each time.

    A job that has ended is not queried again. A broken link is reopened; if that is impossible, or
    if the first query fails, raises like `query`.
    """
    jobs: dict[str, Job] = {}
    on_cluster = any(recorded.launch.remote.host is not None for recorded in runs)
    took = 0.0

    def ask() -> dict[str, Job]:
        nonlocal took
        left = [
            recorded
            for recorded in runs
            if (job := jobs.get(recorded.run.directory)) is None or not job.state.ended
        ]
        asked, is_first = time.monotonic(), not jobs
        jobs.update(query(left, connections.to, pace.options))
        took = 0.0 if is_first else time.monotonic() - asked  # the first one logs in
        return dict(jobs)

    def ask_again() -> dict[str, Job]:
        return _reconnecting(ask, connections, pace) if jobs else ask()

    def least() -> float:
        return max(pace.least if on_cluster else 0.0, SHARE * took)

    yield from until_ended(ask_again, pace.limit, least)


def until_ended(
    ask: Callable[[], dict[str, Job]],
    limit: float | None,
    least: Callable[[], float] = lambda: 0.0,
) -> Iterator[dict[str, Job]]:
    """Yield the jobs repeatedly until all have ended, or `limit` seconds have passed.

    If only jobs in the state UNKNOWN are left, the wait ends: they may stay so for ever.

    Args:
        ask: Returns the jobs.
        limit: None to query once, 0 for no limit.
        least: Returns the least number of seconds until the next query.

    """
    begun, pause = time.monotonic(), FIRST
    while True:
        jobs = ask()
        yield jobs
        left = _left(limit, time.monotonic() - begun)
        if left <= 0 or not _any_live(jobs):
            return
        time.sleep(min(max(pause, least()), left))
        pause = min(pause * GROWTH, LAST)


def _reconnecting(
    ask: Callable[[], dict[str, Job]], connections: Connections, pace: Pace
) -> dict[str, Job]:
    """Query, and if the link is broken reconnect and query again, with growing pauses.

    Raises:
        RemoteError: The cluster refuses the connection, or its login needs the user.

    """
    begun, pause = time.monotonic(), RETRY_FIRST
    while True:
        try:
            jobs = ask()
        except (ConnectionLostError, UnreachableError) as error:
            left = _left(pace.limit, time.monotonic() - begun)
            if left <= 0:
                raise
            seconds = min(pause, left)
            what = str(error).partition(": ")[0]
            pace.announce(f"remex: {what}: reconnecting in {seconds:.0f} s; the jobs keep running")
            time.sleep(seconds)
            connections.drop_broken()
            pause = min(pause * RETRY_GROWTH, RETRY_LAST)
        else:
            if pause > RETRY_FIRST:
                pace.announce("remex: reconnected")
            return jobs


def _any_live(jobs: Mapping[str, Job]) -> bool:
    return any(job.state.live for job in jobs.values())


def _left(limit: float | None, elapsed: float) -> float:
    if limit is None:
        return 0.0
    return float("inf") if limit == 0 else limit - elapsed
