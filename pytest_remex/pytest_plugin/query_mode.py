"""The modes that call no sweep function: status, cancel, log and clean."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Protocol

import pytest

from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.endings import hidden
from pytest_remex.pytest_plugin.item_outcomes import failing_plainly
from pytest_remex.pytest_plugin.items import places_of
from pytest_remex.pytest_plugin.mode import Mode, ModeContext
from pytest_remex.pytest_plugin.selection import FoundRuns, RecordedRuns
from pytest_remex.records.index import RecordedRun

NEEDED = frozenset({"repo", "remote", "request", "pytestconfig"})
"""The fixtures of an item whose body does not run."""


class Query(Protocol):
    """What one of these modes does with the runs that were found."""

    def begin(self, found: FoundRuns, repo: Repo, remote: Remote) -> None:
        """Do what is done once for all runs in one place."""

    def show(self, item: pytest.Function, recorded: RecordedRun) -> str | None:
        """Set an item's outcome; return why it failed if the summary shows that too."""

    def exit_code(self) -> int:
        """Return the exit code if no item failed."""

    def summarize(self) -> None:
        """See `Mode`."""


class QueryMode(Mode):
    """Find the runs of all experiments in a place at once, and show what a query says of each.

    The outcomes are not test outcomes, so pytest's memory of the last failures, which `--lf` uses,
    is not changed.

    Args:
        context: The context of the pytest run.
        items: The experiments.
        query: Makes the query.

    """

    def __init__(
        self,
        context: ModeContext,
        items: Sequence[pytest.Function],
        query: Callable[[ModeContext, RecordedRuns], Query],
    ) -> None:
        super().__init__(context)
        self._recorded = RecordedRuns(context, items)
        self._query = query(context, self._recorded)
        self._runs: dict[str, RecordedRun] = {}
        self._shown: dict[str, str | None] = {}
        """Why the items whose outcome was set failed, by node id; None if they did not."""
        leave_fixtures_out(items)

    def run(self, item: pytest.Function) -> None:
        """Show an experiment's state."""
        __tracebackhide__ = True
        with failing_plainly(item.session):
            places = places_of(item)
            if found := self._recorded.find_with(item, places):
                leave_fixtures_out(found.items.values())
                self._runs |= found.runs
                self._query.begin(found, *places)
        recorded = self._runs.get(item.nodeid)
        if recorded is None:
            self._recorded.skip_unsubmitted(item)
        self._shown[item.nodeid] = self._query.show(item, recorded)

    def finish(self) -> None:
        """Set the exit code."""
        self.context.exit_with(self._query.exit_code())

    def summarize(self) -> None:
        """See `Mode`."""
        self._query.summarize()

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
