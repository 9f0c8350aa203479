"""The mode of a process that judges runs for a collect, which has fetched them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
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
from pytest_remex.pytest_plugin.handover import Collect, RunsFile, attach
from pytest_remex.pytest_plugin.item_outcomes import fail, failing_plainly
from pytest_remex.pytest_plugin.items import WORKER_INPUT, sweep_for
from pytest_remex.pytest_plugin.judging import Judging
from pytest_remex.pytest_plugin.mode import Mode, ModeContext
from pytest_remex.pytest_plugin.selection import RecordedRuns


class JudgeWorker(Mode):
    """The mode of a process that judges for another: it makes no connection, and no results."""

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        offline = context.settings._replace(offline=True)
        super().__init__(context._replace(settings=offline))
        self._recorded = RecordedRuns(self.context, items)
        given: Any = context.config
        self._collect = Collect.of(given.workerinput[WORKER_INPUT])
        self._runs_file = RunsFile({}, {})
        self._notes: list[str] = []
        tell = self._notes.append
        self._judging = Judging(context.config, context.settings, tell, self._collect)
        context.config.option.maxfail = 0  # the process that started this one counts all failures

    @contextmanager
    def checkout(self, item: pytest.Function, repo: Repo, remote: Remote) -> Iterator[Path]:
        """Yield a checkout of the base commit of the experiment's launch."""
        with failing_plainly():
            collected = self._collected(item, repo, remote)
        with self._judging.checkout(item, collected, repo) as path:
            yield path

    def run(self, item: pytest.Function) -> None:
        """Judge a run."""
        __tracebackhide__ = True
        self._judging.judge(item)

    def close(self) -> None:
        """Remove the scratch checkouts."""
        self._judging.close()

    def summarize(self) -> None:
        """Say nothing: the process that started this one does."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Import what reads tables, while the other process fetches them."""
        import_module("pytest_remex.tables.frame")

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

    def _collected(self, item: pytest.Function, repo: Repo, remote: Remote) -> CollectedRun:
        """Return the run that the other process has fetched for an item."""
        index = self._recorded.known_at(repo, remote).index
        if item.nodeid not in self._runs_file.directories:
            self._runs_file = RunsFile.read(self._collect.runs)
        recorded = index.of_directory(self._runs_file.directories.get(item.nodeid, ""))
        if recorded is None:
            fail(
                f"{item.nodeid} was fetched, but its launch record cannot be found by the process "
                f"that judges it: collect without -n"
            )
        run = WantedRun(recorded, sweep_for(item))
        jobs, folder = self._runs_file.jobs, self.settings.runs
        (collected,) = on_this_machine([run], jobs, folder)
        others = [
            each for each in wanted_upstreams([run], index) if _is_listed(each, self._runs_file)
        ]
        return with_upstreams([collected], on_this_machine(others, jobs, folder))[0]


def _is_listed(wanted: WantedRun, runs: RunsFile) -> bool:
    return wanted.recorded.run.directory in runs.jobs
