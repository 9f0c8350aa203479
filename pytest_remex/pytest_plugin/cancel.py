"""The mode cancel: cancel the unfinished jobs of the selected experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from pytest_remex.collect.query import query
from pytest_remex.common.jobs import Job
from pytest_remex.common.parts import RunJob
from pytest_remex.common.protocol import Cancel, NotCancelled
from pytest_remex.model import Remote
from pytest_remex.pytest_plugin.items import fail
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.status import StatusMode
from pytest_remex.records.index import RecordedRun


class CancelMode(StatusMode):
    """The plugin of the mode cancel: cancels, then shows the status."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, settings, items)
        self._not_cancelled: dict[str, str] = {}

    def _begin(self, runs: Mapping[str, RecordedRun]) -> None:
        """Query the runs, cancel those that are live, and query them again."""
        jobs = query(runs.values(), self._connections.to, release=False)
        live = [each for each in runs.values() if not jobs[each.run.directory].state.ended]
        self._cancel([each for each in live if jobs[each.run.directory].state.live])
        self._look({**jobs, **query(live, self._connections.to, release=False)})

    def _cancel(self, runs: Sequence[RecordedRun]) -> None:
        by_remote: dict[Remote, list[RunJob]] = {}
        for each in runs:
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
