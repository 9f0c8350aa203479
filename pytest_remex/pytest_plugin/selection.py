"""What the modes that start from launch records share: the selected experiments and their runs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from pytest_remex.collect.hooks import GuardedHooks
from pytest_remex.collect.poll import Pace, poll
from pytest_remex.common.jobs import Job
from pytest_remex.errors import RecordError
from pytest_remex.model import Remote, Repo
from pytest_remex.point_ids import with_full_id
from pytest_remex.pytest_plugin.anchor import node_of
from pytest_remex.pytest_plugin.items import (
    is_experiment,
    places_of,
    point_of,
    say,
    skip,
    sweep_for,
)
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.preparation import failing_plainly
from pytest_remex.pytest_plugin.terminal import Terminal
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.store import LaunchRecord
from pytest_remex.transport import Connections

NOT_ENDED = 10
"""pytest's exit code where nothing was found wrong, and some experiments have not ended."""


class RecordedRunsMode:
    """The base of the modes collect, status and cancel: a terminal, connections, recorded runs.

    Raises `RecordError` where the launch that is asked for is in no launch record.
    """

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        self._config = session.config
        self._settings = settings
        self._terminal = Terminal(session.config)
        self._connections = Connections(self._terminal.prompt, self._terminal.announce)
        self._recorded = _find_runs(items, settings)
        self._unsubmitted = 0

    def _runs_on(self, remote: Remote) -> dict[str, RecordedRun]:
        """Return the runs by node id, to be reached as `remote` says where it is the same host."""
        records = {run.record.path: run.record for run in self._recorded.values()}
        for place in [record.launch.remote for record in records.values()] or [remote]:
            self._terminal.target(place)
        reached = {path: _reached_by(remote, record) for path, record in records.items()}
        return {
            node: RecordedRun(reached[recorded.record.path], recorded.run)
            for node, recorded in self._recorded.items()
        }

    def _tell_end(self, jobs: Mapping[str, Job]) -> None:
        """Say that all jobs have ended, after a wait: to whoever is at the terminal, and hooks."""
        failed = sum(job.state.failed for job in jobs.values())
        self._terminal.call(f"{len(jobs)} ended" + (f", {failed} failed" if failed else ""))
        hooks = GuardedHooks(self._config.hook, self._terminal.note)
        hooks.call("pytest_remex_ended", jobs=jobs)

    def _polled(self, runs: Sequence[RecordedRun]) -> Iterator[Mapping[str, Job]]:
        """Query runs, again and again where the user waits for them."""
        pace = Pace(self._settings.wait, self._settings.poll, self._terminal.announce)
        return poll(runs, self._connections, pace)

    def _skip_unsubmitted(self, item: pytest.Function) -> NoReturn:
        """Skip an experiment that has no run, and count it."""
        self._unsubmitted += 1
        say(item, "NOT SUBMITTED")
        skip("not submitted: --remex-submit sends it")


class LookingMode(RecordedRunsMode):
    """The base of the modes in which no sweep function runs: status, cancel, log, clean.

    Their items' outcomes are not those of tests: pytest's memory of what failed last, which `--lf`
    goes by, stays as it is.
    """

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, settings, items)
        self._runs: Mapping[str, RecordedRun] = {}
        self._items = {item.nodeid: item for item in items}
        self._has_begun = False
        for item in items:
            # Only what says where runs are is needed.
            item.fixturenames[:] = [name for name in item.fixturenames if name in NEEDED]

    @abstractmethod
    def _begin(self) -> None:
        """Do what is done once for all runs, which `_runs` has by node id."""

    @abstractmethod
    def _show(self, item: pytest.Function, recorded: RecordedRun) -> None:
        """Set the outcome of one item."""

    @contextmanager
    def checkout(self, _item: pytest.Function, repo: Repo, _remote: Remote) -> Iterator[Path]:
        """Check nothing out: the body does not run."""
        yield repo.path

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Have pytest forget nothing and learn nothing of what failed last."""
        for name in ("lfplugin", "stepwiseplugin"):
            if self._config.pluginmanager.has_plugin(name):
                self._config.pluginmanager.unregister(name=name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Show what became of an experiment, in place of the test."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        if not self._has_begun:
            self._has_begun = True
            with failing_plainly(pyfuncitem.session):
                self._runs = self._runs_on(places_of(pyfuncitem)[1])
                self._begin()
        recorded = self._runs.get(pyfuncitem.nodeid)
        if recorded is None:
            self._skip_unsubmitted(pyfuncitem)
        self._show(pyfuncitem, recorded)
        return True


NEEDED = frozenset({"repo", "remote", "request", "pytestconfig"})
"""The fixtures of an item whose body does not run."""


def _find_runs(items: Sequence[pytest.Function], settings: Settings) -> Mapping[str, RecordedRun]:
    """Return the newest run of each item by node id, or the one in the launch asked for."""
    index = RunIndex.read(settings.launches)
    launches = [record.launch.id for record in index.records]
    if settings.launch is not None and settings.launch not in launches:
        known = ", ".join(launches[-5:]) or "none"
        raise RecordError(
            f"no launch {settings.launch!r} in {settings.launches}: the newest are {known}"
        )
    found = {item.nodeid: _newest(index, item, settings.launch) for item in items}
    return {node: recorded for node, recorded in found.items() if recorded is not None}


def _newest(index: RunIndex, item: pytest.Function, launch: str | None) -> RecordedRun | None:
    """Return an item's newest run, also one that was recorded with all digits of its floats."""
    node, point = node_of(item), point_of(item)
    older = with_full_id(node, sweep_for(item), point)
    return index.newest(node, point, launch) or index.newest(older, point, launch)


def _reached_by(remote: Remote, record: LaunchRecord) -> LaunchRecord:
    """Return a record whose remote is reached as `remote` says: its shell may differ today."""
    recorded = record.launch.remote
    if recorded.host != remote.host:
        return record
    launch = replace(record.launch, remote=replace(recorded, shell=remote.shell))
    return replace(record, launch=launch)
