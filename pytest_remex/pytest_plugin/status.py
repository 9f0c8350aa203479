"""Status and cancel: ask once where all selected experiments are, and tell it item by item."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_remex.collect.poll import until_ended
from pytest_remex.collect.query import query
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.protocol import Cancel, NotCancelled, RunJob
from pytest_remex.common.typed_json import to_json
from pytest_remex.errors import RemexError
from pytest_remex.io import writing
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.items import fail, is_experiment, places_of, say, skip
from pytest_remex.pytest_plugin.options import Mode, Settings
from pytest_remex.pytest_plugin.preparation import failing_plainly
from pytest_remex.pytest_plugin.selection import Selection
from pytest_remex.pytest_plugin.status_table import StatusTable, TableRow
from pytest_remex.records.index import RecordedRun


class StatusMode:
    """The plugin of the modes status and cancel."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        self._config = session.config
        self._settings = settings
        self._selection = Selection(session, settings, items)
        self._terminal = self._selection.terminal
        self._connections = self._selection.connections
        self._runs: Mapping[str, RecordedRun] = {}
        self._jobs: Mapping[str, Job] = {}
        self._refused: dict[str, str] = {}
        self._asked = False
        for item in items:
            # The body does not run: only what says where runs are is needed.
            item.fixturenames[:] = [name for name in item.fixturenames if name in _NEEDED]

    @contextmanager
    def checkout(self, _item: pytest.Function, repo: Repo, _remote: Remote) -> Iterator[Path]:
        """Nothing is checked out: the body does not run."""
        yield repo.path

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Tell where the experiment is."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        if not self._asked:
            self._asked = True
            with failing_plainly(pyfuncitem.session):
                self._ask(places_of(pyfuncitem)[1])
        run = self._runs.get(pyfuncitem.nodeid)
        if run is None:
            self._selection.skip_unsubmitted(pyfuncitem)
        self._tell(pyfuncitem, run)
        return True

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Close the connections, and write the table for scripts."""
        self._connections.close()
        if self._settings.json:
            try:
                _write(self._settings.json, self._placed())
            except RemexError as error:
                self._terminal.say(str(error), red=True)
                if session.exitstatus == pytest.ExitCode.OK:
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self) -> None:
        """Show the table."""
        placed = self._placed()
        if placed and self._asked:
            with self._terminal.lifted():
                StatusTable(placed).show(self._terminal.console(), verbose=self._verbose)
        if unsubmitted := self._selection.unsubmitted:
            self._terminal.say(f"{unsubmitted} not submitted", yellow=True)
        self._terminal.summary(f"remex {self._settings.mode}")

    @property
    def _verbose(self) -> bool:
        return bool(self._config.getoption("verbose") > 0)

    def _ask(self, remote: Remote) -> None:
        self._runs = self._selection.reached_by(remote)
        runs = list(self._runs.values())

        def ask() -> Mapping[str, Job]:
            asked = query(self._unended(runs), self._connections.to)
            return {**self._jobs, **asked}

        if self._settings.mode is Mode.CANCEL:
            self._jobs = ask()
            self._cancel(runs)
            self._jobs = ask()
            return
        with self._terminal.live() as show:
            for jobs in until_ended(ask, self._settings.wait):
                self._jobs = jobs
                if self._settings.wait is not None:
                    show(StatusTable(self._placed()))

    def _unended(self, runs: Iterable[RecordedRun]) -> list[RecordedRun]:
        jobs = self._jobs
        return [
            run
            for run in runs
            if run.entry.directory not in jobs or not jobs[run.entry.directory].state.ended
        ]

    def _cancel(self, runs: Sequence[RecordedRun]) -> None:
        alive = [run for run in runs if self._jobs[run.entry.directory].state.live]
        by_remote: dict[Remote, list[RunJob]] = {}
        for run in alive:
            by_remote.setdefault(run.record.launch.remote, []).append(
                RunJob(run.entry.directory, run.entry.job)
            )
        for remote, jobs in by_remote.items():
            connection = self._connections.to(remote)
            for event in connection.ask(Cancel(remote.runs, connection.scheduler, jobs)):
                if isinstance(event, NotCancelled):
                    self._refused[event.job] = event.message

    def _tell(self, item: pytest.Function, run: RecordedRun) -> None:
        __tracebackhide__ = True
        job = self._jobs.get(run.entry.directory)
        if job is None:
            skip("its state was not learnt")
        if why := self._refused.get(run.entry.job):
            fail(f"job {run.entry.job} was not cancelled: {why}")
        say(item, f"{job.state} job {job.id}".strip(), **_look(job.state))

    def _placed(self) -> list[TableRow]:
        return [
            TableRow(node, run.entry, run.record.launch, job)
            for node, run in self._runs.items()
            if (job := self._jobs.get(run.entry.directory)) is not None
        ]


_NEEDED = frozenset({"repo", "remote", "request", "pytestconfig"})


def _look(state: JobState) -> dict[str, bool]:
    if state.failed:
        return {"green": False, "red": True}
    return {"green": state is JobState.COMPLETED, "cyan": state.live}


def _write(path: Path, placed: Sequence[TableRow]) -> None:
    rows = [
        {
            "node": each.node,
            "launch": each.launch.id,
            "commit": each.entry.commit.sha,
            "directory": each.entry.directory,
            "point": each.entry.point,
            **{
                f"job_{name}" if name == "id" else name: value
                for name, value in to_json(each.job).items()
            },
        }
        for each in placed
    ]
    with writing(path):
        path.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
