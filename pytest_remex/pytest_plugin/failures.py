"""Limit the failures that pytest prints in full: one per cause, none that status shows itself."""

from __future__ import annotations

from collections.abc import Callable, Container, Generator

import pytest

BY_DEFAULT = "fE"
"""pytest's default of the option -r."""


class ExamplesOfFailures:
    """Make pytest print only the first failure of each cause in full; all keep their short line.

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
        """Show only the examples to pytest while it prints failures in full, at the beginning."""
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
        """Show all failures to pytest again; call this before it prints the short lines."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and self._failed:
            reporter.stats["failed"] = self._failed
        for report, place in self._places:
            report.location = place
        self._places = []

    def _examples(self) -> list[pytest.TestReport]:
        """Return one failure per cause, with the cause as its headline, and all without a cause."""
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


class FailuresReportedElsewhere:
    """Keep pytest from printing failures that are shown elsewhere, unless the user asks for it.

    Args:
        config: The config of the pytest run.
        nodes: Their node ids.

    """

    def __init__(self, config: pytest.Config, nodes: Container[str]) -> None:
        self._config = config
        self._nodes = nodes

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self) -> Generator[None]:
        """Hide these failures from pytest until its last line, which counts them."""
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
