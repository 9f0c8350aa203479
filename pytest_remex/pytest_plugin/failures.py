"""Failures in pytest's output and in its memory.

pytest prints in full only one failure per cause, and none that status shows itself.

It forgets a failure as soon as an item passes, as each experiment does in a plan: the next submit
with `--lf` would then have all experiments, not those that failed. So a failed check stays among
the last failures until a collect judges it again.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, MutableMapping
from typing import Any

import pytest

from pytest_remex.pytest_plugin.command_line import Mode

BY_DEFAULT = "fE"
"""pytest's default of the option -r."""
FAILED_CHECKS = "remex/failed-checks"
"""The key, in pytest's cache, of the node ids of the experiments whose checks failed."""
PREPARING = frozenset({Mode.DRY, Mode.PLAN, Mode.SUBMIT})
"""The modes in which an experiment that passes was not judged."""


class ExamplesOfFailures:
    """Make pytest print only the first failure of each cause in full; all keep their short line.

    Failures that are not in `causes` have the same cause if pytest prints the same about them.

    Args:
        config: The config of the pytest run.
        causes: Returns the cause of each failure that has one, by node id.

    """

    def __init__(self, config: pytest.Config, causes: Callable[[], dict[str, str]] = dict) -> None:
        self._config = config
        self._causes = causes
        self._all: dict[str, list[pytest.TestReport]] = {}
        self._places: list[tuple[pytest.TestReport, tuple[str, int | None, str]]] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self) -> Generator[None]:
        """Show only the examples to pytest while it prints failures in full, at the beginning."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None:
            return (yield)
        kinds = [kind for kind in ("failed", "error") if reporter.stats.get(kind)]
        self._all = {kind: reporter.stats[kind] for kind in kinds}
        for kind, reports in self._all.items():
            reporter.stats[kind] = self._examples(reports)
        try:
            return (yield)
        finally:
            self.show_all()

    def show_all(self) -> None:
        """Show all failures to pytest again; call this before it prints the short lines."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.stats.update(self._all)
        for report, place in self._places:
            report.location = place
        self._places = []

    def _examples(self, reports: Iterable[pytest.TestReport]) -> list[pytest.TestReport]:
        """Return one failure per cause, with the cause or the number of others as its headline."""
        causes = self._causes()
        groups: dict[str, list[pytest.TestReport]] = {}
        for report in reports:
            groups.setdefault(causes.get(report.nodeid, report.longreprtext), []).append(report)
        for cause, group in groups.items():
            if len(group) > 1:
                first = group[0]
                file, line, name = first.location
                self._places.append((first, first.location))
                title = f"{len(group)} failed: {cause}; for example {name}"
                if first.nodeid not in causes:  # its cause follows the headline
                    title = f"{name} and {len(group) - 1} more, for the same reason"
                first.location = file, line, title
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


class LastFailures:
    """The part of a mode that keeps failed checks among the last failures.

    Args:
        config: The config of the pytest run.
        mode: The mode: one that prepares experiments, or collect.
        items: The session's experiments.

    """

    def __init__(self, config: pytest.Config, mode: Mode, items: Iterable[pytest.Function]) -> None:
        self._cache = config.cache
        memory = config.pluginmanager.get_plugin("lfplugin")
        self._failed: MutableMapping[Any, bool] = getattr(memory, "lastfailed", {})
        self._before = dict(self._failed)
        self._is_preparing = mode in PREPARING
        self._nodes = {item.nodeid for item in items}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Note which checks failed, or keep those that had failed."""
        noted = self._cache.get(FAILED_CHECKS, None) or []
        if self._is_preparing:
            checks = self._nodes.intersection(noted)
            self._failed.update((node, True) for node in self._before if str(node) in checks)
            return
        failed = self._nodes.intersection(map(str, self._failed))
        self._cache.set(FAILED_CHECKS, sorted({*noted} - self._nodes | failed))


def remember_failed_checks(
    config: pytest.Config, mode: Mode, items: Iterable[pytest.Function]
) -> None:
    """Keep failed checks among the last failures, if pytest has them and this mode changes them."""
    if mode in {*PREPARING, Mode.COLLECT} and config.pluginmanager.has_plugin("lfplugin"):
        config.pluginmanager.register(LastFailures(config, mode, items), "remex-last-failures")
