"""Failures as pytest prints them: each cause once with an example, not every failure at length."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest


class ExamplesOfFailures:
    """Has pytest print, of failures of one cause, the first at length; all have their short line.

    Args:
        config: The config of the pytest run.
        causes: Returns the cause of each failure that has one, by node id.

    """

    def __init__(self, config: pytest.Config, causes: Callable[[], dict[str, str]]) -> None:
        self._config = config
        self._causes = causes
        self._failed: list[pytest.TestReport] = []
        self._places: list[tuple[pytest.TestReport, tuple[str, int | None, str]]] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self) -> Generator[None]:
        """Show pytest the examples alone while it prints failures at length, the first thing."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None:
            return (yield)
        self._failed = list(reporter.stats.get("failed", []))
        if self._failed:
            reporter.stats["failed"] = self._examples()
        try:
            return (yield)
        finally:
            self.show_all()

    def show_all(self) -> None:
        """Show pytest all failures again: call it before it prints the short lines."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and self._failed:
            reporter.stats["failed"] = self._failed
        for report, place in self._places:
            report.location = place
        self._places = []

    def _examples(self) -> list[pytest.TestReport]:
        """Return a failure of each cause, whose headline is the cause, and all that have none."""
        causes = self._causes()
        groups: dict[str, list[pytest.TestReport]] = {}
        for report in self._failed:
            groups.setdefault(causes.get(report.nodeid, report.nodeid), []).append(report)
        for cause, group in groups.items():
            if len(group) > 1:
                first = group[0]
                file, line, name = first.location
                self._places.append((first, first.location))
                first.location = file, line, f"{len(group)} failed: {cause}; for example {name}"
        return [group[0] for group in groups.values()]
