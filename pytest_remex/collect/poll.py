"""Waits until jobs have ended: polls with exponential back-off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from pytest_remex.collect.query import Connect, query
from pytest_remex.common.jobs import Job
from pytest_remex.records.index import RecordedRun

FIRST, LAST, GROWTH = 1.0, 60.0, 1.3
"""Seconds between the first two polls, at most between two, and the factor between."""


def poll(
    runs: Sequence[RecordedRun], connect: Connect, limit: float | None
) -> Iterator[dict[str, Job]]:
    """Query runs until all jobs have ended, and yield all jobs by run directory each time.

    A job that has ended is not queried again. For `limit` see `until_ended`; raises as `query`.
    """
    jobs: dict[str, Job] = {}

    def ask() -> dict[str, Job]:
        left = [
            recorded
            for recorded in runs
            if (job := jobs.get(recorded.run.directory)) is None or not job.state.ended
        ]
        jobs.update(query(left, connect))
        return dict(jobs)

    yield from until_ended(ask, limit)


def until_ended(ask: Callable[[], dict[str, Job]], limit: float | None) -> Iterator[dict[str, Job]]:
    """Yield the jobs again and again until all have ended, or `limit` seconds have passed.

    A job in the state UNKNOWN alone is not waited for: it may stay so for ever.

    Args:
        ask: Returns the jobs.
        limit: None to ask once, 0 for no limit.

    """
    begun, pause = time.monotonic(), FIRST
    while True:
        jobs = ask()
        yield jobs
        left = _left(limit, time.monotonic() - begun)
        if left <= 0 or not _any_live(jobs):
            return
        time.sleep(min(pause, left))
        pause = min(pause * GROWTH, LAST)


def _any_live(jobs: Mapping[str, Job]) -> bool:
    return any(job.state.live for job in jobs.values())


def _left(limit: float | None, elapsed: float) -> float:
    if limit is None:
        return 0.0
    return float("inf") if limit == 0 else limit - elapsed
