"""Waits until jobs have ended, asking ever more seldom."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from pytest_remex.common.jobs import Job

FIRST, LAST, GROWTH = 1.0, 60.0, 1.3
"""Seconds between the first two questions, at most between two, and the factor between."""


def until_ended(
    ask: Callable[[], Mapping[str, Job]], limit: float | None
) -> Iterator[Mapping[str, Job]]:
    """Give the jobs again and again until all have ended, or `limit` seconds have passed.

    `limit` None asks once, and 0 sets no limit. A job whose state is not known counts as not
    ended only where another one has not: nobody waits for a state that nobody knows.
    """
    begun, pause = time.monotonic(), FIRST
    while True:
        jobs = ask()
        yield jobs
        left = _left(limit, time.monotonic() - begun)
        if left <= 0 or not any(job.state.live for job in jobs.values()):
            return
        time.sleep(min(pause, left))
        pause = min(pause * GROWTH, LAST)


def _left(limit: float | None, elapsed: float) -> float:
    if limit is None:
        return 0.0
    return float("inf") if limit == 0 else limit - elapsed
