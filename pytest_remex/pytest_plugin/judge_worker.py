"""The mode of a process that judges runs for a collect, which has fetched them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pytest_remex.collect.runs import (
    CollectedRun,
    WantedRun,
    on_this_machine,
    wanted_upstreams,
    with_upstreams,
)
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.handover import JudgingTask, RunsFile, attach
from pytest_remex.pytest_plugin.item_outcomes import fail, failing_plainly
from pytest_remex.pytest_plugin.items import WORKER_INPUT, is_experiment, sweep_for
from pytest_remex.pytest_plugin.judging import Judging
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.selection import RecordedRunsMode


class JudgeWorker(RecordedRunsMode):
    """The plugin of a process that judges for another: it makes no connection, and no results."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, replace(settings, offline=True), items)
        given: Any = session.config
        self._task = JudgingTask.of(given.workerinput[WORKER_INPUT])
        self._runs_file = RunsFile({}, {})
        self._notes: list[str] = []
        self._judging = Judging(session.config, settings, self._notes.append, self._task.collect)
        session.config.option.maxfail = 0  # the process that started this one counts all failures

    @contextmanager
    def checkout(self, item: pytest.Function, repo: Repo, remote: Remote) -> Iterator[Path]:
        """Yield a checkout of the base commit of the experiment's launch."""
        with failing_plainly():
            collected = self._collected(item, repo, remote)
        with self._judging.checkout(item, collected, repo) as path:
            yield path

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Import what reads tables, while the other process fetches them."""
        import_module("pytest_remex.tables.frame")

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Judge a run instead of running a test."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        self._judging.judge(pyfuncitem)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """Send each verdict with its report."""
        self._judging.add_output(item, call)
        report: pytest.TestReport = yield
        if judge := self._judging.conclude(item, call, report):
            attach(report, judge.result, self._notes)
            self._notes.clear()
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Remove the scratch checkouts, after the last fixture."""
        self._judging.close()

    def _collected(self, item: pytest.Function, repo: Repo, remote: Remote) -> CollectedRun:
        """Return the run that the other process has fetched for an item."""
        if (repo, remote) not in self._known:
            self._known[repo, remote] = self._read_known(repo, remote)
        index = self._known[repo, remote].index
        if item.nodeid not in self._runs_file.directories:
            self._runs_file = RunsFile.read(self._task.runs)
        recorded = index.of_directory(self._runs_file.directories.get(item.nodeid, ""))
        if recorded is None:
            fail(
                f"{item.nodeid} was fetched, but its launch record cannot be found by the process "
                f"that judges it: collect without -n"
            )
        run = WantedRun(recorded, sweep_for(item))
        jobs, folder = self._runs_file.jobs, self._settings.runs
        (collected,) = on_this_machine([run], jobs, folder)
        others = [
            each for each in wanted_upstreams([run], index) if _is_listed(each, self._runs_file)
        ]
        return with_upstreams([collected], on_this_machine(others, jobs, folder))[0]


def _is_listed(wanted: WantedRun, runs: RunsFile) -> bool:
    return wanted.recorded.run.directory in runs.jobs
