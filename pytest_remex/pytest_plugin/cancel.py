"""The mode cancel: cancel the unfinished jobs of experiments, and show their states."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_remex.display import counted, some_of
from pytest_remex.launch.cancel import Canceller
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.item_outcomes import fail
from pytest_remex.pytest_plugin.mode import ModeContext, was_stopped
from pytest_remex.pytest_plugin.query_mode import QueryMode
from pytest_remex.pytest_plugin.selection import FoundRuns, query_options
from pytest_remex.pytest_plugin.status import StatesShown
from pytest_remex.records.index import RecordedRun


class CancelMode(QueryMode):
    """The mode cancel; a cancelled job is no failure: the user asked for it."""

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        super().__init__(context, items)
        self._states = StatesShown(context)
        self._selected: set[str] = set()
        self._failed: dict[str, str] = {}
        self._dependents: dict[str, RecordedRun] = {}
        self._unended = 0

    def begin(self, found: FoundRuns, repo: Repo, remote: Remote) -> None:
        """Cancel the jobs that have not ended."""
        launches, connections = self.settings.launches, self.context.connections
        options, note = query_options(self.context), self.terminal.note
        canceller = Canceller(repo, remote, launches, connections, options, note)
        cancelled = canceller.cancel(found.runs.values(), found.index)
        runs = {node: cancelled.runs[each.run.directory] for node, each in found.runs.items()}
        self._states.add(found.items, runs)
        self._states.update(cancelled.jobs)
        self._selected.update(cancelled.runs)
        self._failed |= cancelled.failed
        self._unended += cancelled.unended
        self._dependents |= {each.run.directory: each for each in cancelled.dependents}

    def show(self, item: pytest.Function, recorded: RecordedRun) -> None:
        """Show a job's state, or why it could not be cancelled."""
        __tracebackhide__ = True
        if why := self._failed.get(recorded.run.directory):
            fail(why)
        self._states.show(item)

    def summarize(self) -> None:
        """Show the status table, and the jobs that come after cancelled ones."""
        if not self._unended and not was_stopped(self.session):
            self.terminal.say("there is nothing to cancel")
        others = [each for name, each in self._dependents.items() if name not in self._selected]
        if others:
            names = [f"{each.run.node} job {each.run.job}" for each in others]
            self.terminal.say(
                f"{counted(len(names), 'job')} will not run, UPSTREAM FAILED, as what comes before "
                f"was cancelled: {some_of(names)}",
                yellow=True,
            )
        self._states.summarize(self.recorded, has_failed=False)
