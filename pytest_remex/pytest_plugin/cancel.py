"""The mode cancel: cancel the unfinished jobs of the selected experiments.

Runs that an interrupted launch left without a job are discarded, so that they get none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_remex.collect.query import query
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.parts import RunJob
from pytest_remex.common.protocol import Cancel, NotCancelled
from pytest_remex.display import counted, some_of
from pytest_remex.errors import RecordError, RemexError
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.item_outcomes import fail
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.status import StatusMode
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import MAY_HAVE_JOB

if TYPE_CHECKING:
    from pytest_remex.launch.session import Services

SHOWN = 5
"""The most jobs to name that cancelling others affects."""


class CancelMode(StatusMode):
    """The plugin of the mode cancel: cancels, then shows the status."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, settings, items)
        self._not_cancelled: dict[str, str] = {}
        self._discarded: dict[str, Job] = {}
        self._not_discarded: dict[str, str] = {}
        self._dependents: Sequence[RecordedRun] = ()

    def _find_runs_with(
        self, item: pytest.Function, repo: Repo, remote: Remote
    ) -> dict[str, RecordedRun] | None:
        """Discard what interrupted launches left, before jobs are cancelled."""
        runs = super()._find_runs_with(item, repo, remote)
        interrupted = [each for each in (runs or {}).values() if not each.run.settled]
        if runs is None or not interrupted:
            return runs
        live = self._discard(interrupted, repo, remote)
        return {node: live.get(each.run.directory, each) for node, each in runs.items()}

    def _discard(
        self, interrupted: Sequence[RecordedRun], repo: Repo, remote: Remote
    ) -> Mapping[str, RecordedRun]:
        """Discard runs that may get a job; return those that have one, by run directory."""
        # seldom: every cancel would pay for the import
        from pytest_remex.launch.discard import discard  # noqa: PLC0415
        from pytest_remex.launch.session import Services, lock_launches  # noqa: PLC0415
        from pytest_remex.repo.workspace import Workspaces  # noqa: PLC0415

        try:
            lock = lock_launches(self._settings.launches)
        except RecordError as error:
            why = dict.fromkeys((each.run.directory for each in interrupted), str(error))
            self._not_discarded |= why
            return {}
        with ExitStack() as stack:
            stack.callback(lock.release)
            workspaces = stack.enter_context(closing(Workspaces(kept=True)))
            services = Services(workspaces, self._connections.to)
            found = discard(interrupted, repo, services)
            if not found.live:  # what ran is only recorded once it was queried
                self._clean_up(repo, remote, services)
        self._not_discarded |= found.failed
        cancelled = Job("", JobState.CANCELLED, "before it was submitted", source="record")
        self._discarded |= dict.fromkeys(found.discarded, cancelled)
        return found.live

    def _clean_up(self, repo: Repo, remote: Remote, services: Services) -> None:
        """Remove temporary branches and files of interrupted launches."""
        from pytest_remex.launch.pipeline import clean_up_after_crashes  # noqa: PLC0415 - as above

        try:
            index = self._read_known(repo, remote).index
            for warning in clean_up_after_crashes(index, (), {remote: repo}, services):
                self._terminal.note(warning)
        except RemexError as error:
            self._terminal.note(f"not everything was cleaned up: {error}")

    def _begin(self, runs: Mapping[str, RecordedRun]) -> None:
        """Query the runs, cancel live jobs, and query them again."""
        discarded = [each for each in runs.values() if each.run.directory in self._discarded]
        options = replace(self._query_options, release=False)
        others = [each for each in runs.values() if each.run.directory not in self._discarded]
        jobs = query(others, self._connections.to, options)
        live = [each for each in others if not jobs[each.run.directory].state.ended]
        self._keep_shared(live)
        self._cancel([each for each in live if jobs[each.run.directory].state.live])
        after = query(live, self._connections.to, replace(options, explain=False))
        self._update({**jobs, **after, **self._discarded})
        cancelled = discarded + [each for each in live if each.run.job not in self._not_cancelled]
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
        if why := self._not_discarded.get(recorded.run.directory):
            fail(f"its submission was not cancelled: {why}")
        if why := self._not_cancelled.get(recorded.run.job):
            fail(f"job {recorded.run.job} was not cancelled: {why}")
        super()._show(item, recorded)

    def _is_failure(self, _recorded: RecordedRun, _job: Job) -> bool:
        return False  # a cancelled job is what the user asked for

    def _is_something_left(self) -> bool:
        return False
