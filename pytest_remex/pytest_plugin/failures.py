"""Which failures pytest prints at length: of each cause an example, and none that a board tells."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator

import pytest

BY_DEFAULT = "fE"
"""pytest's default of the option -r."""


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


class FailuresToldElsewhere:
    """Has pytest print nothing of failures that are told elsewhere, unless it is asked to.

    Args:
        config: The config of the pytest run.
        nodes: Their node ids.

    """

    def __init__(self, config: pytest.Config, nodes: Container[str]) -> None:
        self._config = config
        self._nodes = nodes

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self) -> Generator[None]:
        """Hide them from pytest until it writes its last line, which counts them."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        option = self._config.option
        if reporter is None or option.tbstyle != "auto" or option.reportchars != BY_DEFAULT:
            return (yield)
        failed = reporter.stats.get("failed", [])
        shown = [report for report in failed if report.nodeid not in self._nodes]
        if shown != failed:
            reporter.stats["failed"] = shown
        try:
            return (yield)
        finally:
            if shown != failed:
                reporter.stats["failed"] = failed
