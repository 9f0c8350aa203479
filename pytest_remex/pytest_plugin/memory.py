"""Keep the memory and the time small that a large grid's items and reports take."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Mapping

import pytest

FROZEN_TOGETHER = 500
"""After so many items, what is left of them is excluded from garbage collection."""


class PeriodicFreeze:
    """Excludes from garbage collection what the experiments so far leave behind, now and then.

    Reports, commits and verdicts live to the end. Left to itself, the garbage collector visits them
    all again and again.
    """

    def __init__(self) -> None:
        self._ended = 0

    def pytest_runtest_logfinish(self) -> None:
        """Count the items that have ended."""
        self._ended += 1
        if self._ended % FROZEN_TOGETHER == 0:
            gc.collect()  # what is frozen is never removed
            gc.freeze()


def freeze() -> None:
    """Exclude all existing objects from garbage collection, now and again when Python exits.

    A full collection visits all live objects: with 10,000 experiments that took 2 s of the 12 s of
    a collect.
    """
    gc.freeze()
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)


class ReportsNotShown:
    """A plugin that keeps pytest's terminal from storing reports that it never shows.

    It stores all reports until the end. Two of an experiment's three, on its set-up and teardown,
    say nothing if they passed, and take 2 kB.
    """

    def __init__(self, stored: Mapping[str, list[object]]) -> None:
        self._stored = stored

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remove a report that the terminal has just stored."""
        unnamed = self._stored.get("", [])
        if unnamed and unnamed[-1] is report and report.passed and not report.sections:
            unnamed.pop()
