"""The modes that call no sweep function: status, cancel, log and clean."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import pytest

from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.endings import hidden
from pytest_remex.pytest_plugin.fixtures import places_of
from pytest_remex.pytest_plugin.item_outcomes import failing_plainly
from pytest_remex.pytest_plugin.mode import Mode, ModeContext
from pytest_remex.pytest_plugin.selection import FoundRuns, RecordedRuns
from pytest_remex.records.index import RecordedRun

NEEDED = frozenset({"repo", "remote", "request", "pytestconfig"})
"""The fixtures of an item whose body does not run."""


class QueryMode(Mode):
    """Find the runs of all experiments in a place at once, and show what a query says of each.

    The outcomes are not test outcomes, so pytest's memory of the last failures, which `--lf` uses,
    is not changed.
    """

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        super().__init__(context)
        self.recorded = RecordedRuns(context, items)
        self.runs: dict[str, RecordedRun] = {}
        """The runs that were found, by node id."""
        self._shown: dict[str, str | None] = {}
        """Why the items whose outcome was set failed, by node id; None if they did not."""
        leave_fixtures_out(items)

    @abstractmethod
    def begin(self, found: FoundRuns, repo: Repo, remote: Remote) -> None:
        """Do what is done once for all runs in one place."""

    @abstractmethod
    def show(self, item: pytest.Function, recorded: RecordedRun) -> str | None:
        """Set an item's outcome; return why it failed if the summary shows that too."""

    def exit_code(self) -> int:
        """Return the exit code if no item failed."""
        return pytest.ExitCode.OK

    def run(self, item: pytest.Function) -> None:
        """Show an experiment's state."""
        __tracebackhide__ = True
        with failing_plainly(item.session):
            places = places_of(item)
            if found := self.recorded.find_with(item, places):
                leave_fixtures_out(found.items.values())
                self.runs |= found.runs
                self.begin(found, *places)
        recorded = self.runs.get(item.nodeid)
        if recorded is None:
            self.recorded.skip_unsubmitted(item)
        self._shown[item.nodeid] = self.show(item, recorded)

    def finish(self) -> None:
        """Set the exit code."""
        self.context.exit_with(self.exit_code())

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Keep pytest's memory of the last failures unchanged."""
        manager = self.context.config.pluginmanager
        for name in ("lfplugin", "stepwiseplugin"):
            if manager.has_plugin(name):
                manager.unregister(name=name)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Fail items; raising an exception would cost milliseconds for each."""
        report: pytest.TestReport = yield
        if call.when == "call" and (why := self._shown.get(item.nodeid)):
            report.outcome, report.longrepr = "failed", why
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self) -> Generator[None]:
        """Let pytest not print as failures what the mode's own lines show: it counts states."""
        with hidden(self.context.config, self._shown):
            return (yield)


def leave_fixtures_out(items: Iterable[pytest.Function]) -> None:
    """Let items set up only the fixtures that say where their experiments run."""
    for item in items:
        item.fixturenames[:] = [name for name in item.fixturenames if name in NEEDED]
