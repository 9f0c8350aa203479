"""The mode cancel: cancel the unfinished jobs of the selected experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from pytest_remex.collect.query import query
from pytest_remex.common.jobs import Job
from pytest_remex.common.parts import RunJob
from pytest_remex.common.protocol import Cancel, NotCancelled
from pytest_remex.display import counted, some_of
from pytest_remex.model import Remote
from pytest_remex.pytest_plugin.item_outcomes import fail
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.status import StatusMode
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import MAY_HAVE_JOB

SHOWN = 5
"""The most jobs to name that cancelling others affects."""


class CancelMode(StatusMode):
    """The plugin of the mode cancel: cancels, then shows the status."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, settings, items)
        self._not_cancelled: dict[str, str] = {}
        self._dependents: Sequence[RecordedRun] = ()

    def _begin(self, runs: Mapping[str, RecordedRun]) -> None:
        """Query the runs, cancel live jobs, and query them again."""
        options = replace(self._query_options, release=False)
        jobs = query(runs.values(), self._connections.to, options)
        live = [each for each in runs.values() if not jobs[each.run.directory].state.ended]
        self._keep_shared(live)
        self._cancel([each for each in live if jobs[each.run.directory].state.live])
        after = query(live, self._connections.to, replace(options, explain=False))
        self._update({**jobs, **after})
        cancelled = [each for each in live if each.run.job not in self._not_cancelled]
        self._dependents = [*self._dependents, *self._dependents_of(cancelled)]

    def _keep_shared(self, runs: Sequence[RecordedRun]) -> None:
        """Keep the jobs of packs in which other runs are live that were not selected."""
        selected = {each.run.directory for each in self._runs.values()}
        jobs = {(each.launch.id, each.run.job) for each in runs}
        others = [
            RecordedRun(record, run)
            for record in {each.launch.id: each.record for each in runs}.values()
            for run in record.runs.values()
            if (record.launch.id, run.job) in jobs and run.directory not in selected
        ]
        if not others:
            return
        options = replace(self._query_options, release=False, explain=False)
        states = query(others, self._connections.to, options)
        names: dict[str, list[str]] = {}
        for each in others:
            if not states[each.run.directory].state.ended:
                names.setdefault(each.run.job, []).append(each.run.node)
        for job, some in names.items():
            shown = some_of(some, SHOWN)
            self._not_cancelled[job] = f"it also runs {shown}, not selected: select these as well"

    def _dependents_of(self, runs: Sequence[RecordedRun]) -> list[RecordedRun]:
        """Return the runs that come after these, and were not selected themselves."""
        after = [each for run in runs for each in self._index.all_downstream_of(run.run.directory)]
        found = {each.run.directory: each for each in after}
        selected = {each.run.directory for each in self._runs.values()}
        return [
            each
            for name, each in found.items()
            if name not in selected and not each.run.final and each.run.stage in MAY_HAVE_JOB
        ]

    def pytest_terminal_summary(self) -> None:
        """Show the status table, and the jobs that come after cancelled ones."""
        if self._dependents:
            names = [f"{each.run.node} job {each.run.job}" for each in self._dependents]
            shown = some_of(names, SHOWN)
            self._terminal.say(
                f"{counted(len(names), 'job')} will not run, UPSTREAM FAILED, as what comes before "
                f"was cancelled: {shown}",
                yellow=True,
            )
        super().pytest_terminal_summary()

    def _cancel(self, runs: Sequence[RecordedRun]) -> None:
        by_remote: dict[Remote, list[RunJob]] = {}
        for each in {each.run.directory: each for each in runs}.values():  # variants may share one
            if each.run.job in self._not_cancelled:
                continue
            by_remote.setdefault(each.launch.remote, []).append(
                RunJob(each.run.directory, each.run.job)
            )
        for remote, jobs in by_remote.items():
            connection = self._connections.to(remote)
            for event in connection.ask(Cancel(remote.runs, connection.scheduler, jobs)):
                if isinstance(event, NotCancelled):
                    self._not_cancelled[event.job] = event.message

    def _show(self, item: pytest.Function, recorded: RecordedRun) -> None:
        __tracebackhide__ = True
        if why := self._not_cancelled.get(recorded.run.job):
            fail(f"job {recorded.run.job} was not cancelled: {why}")
        super()._show(item, recorded)

    def _is_failure(self, _recorded: RecordedRun, _job: Job) -> bool:
        return False  # a cancelled job is what the user asked for

    def _is_something_left(self) -> bool:
        return False
