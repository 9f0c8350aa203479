"""The runs of the selected experiments, as the launch records tell of them, and how to ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import pytest

from pytest_remex.errors import RecordError
from pytest_remex.model import Remote
from pytest_remex.pytest_plugin.items import point_of, say, skip
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.terminal import Terminal
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.schema import LaunchRecord
from pytest_remex.transport import Connections


class Selection:
    """What collect, status and cancel have in common: runs by node id, a terminal, connections.

    Raises `RecordError` where the launch that is asked for is in no record.
    """

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        self.terminal = Terminal(session.config)
        self.connections = Connections(self.terminal.prompt, self.terminal.announce)
        self.unsubmitted = 0
        self._runs = _find_runs(items, settings)

    def reached_by(self, remote: Remote) -> dict[str, RecordedRun]:
        """Give the runs, reached as `remote` says where that is the same host."""
        records = {run.record.path: run.record for run in self._runs.values()}
        reached = {path: _reached_by(remote, record) for path, record in records.items()}
        return {
            node: RecordedRun(reached[run.record.path], run.entry)
            for node, run in self._runs.items()
        }

    def skip_unsubmitted(self, item: pytest.Function) -> NoReturn:
        """Skip an experiment that has no run, and count it."""
        self.unsubmitted += 1
        say(item, "NOT SUBMITTED")
        skip("not submitted: --remex-submit sends it")


def _find_runs(items: Sequence[pytest.Function], settings: Settings) -> Mapping[str, RecordedRun]:
    """Give the newest run of each item by node id, or the one in the launch asked for."""
    history = RunIndex.read(settings.launches)
    launches = [record.launch.id for record in history.records]
    if settings.launch is not None and settings.launch not in launches:
        known = ", ".join(launches[-5:]) or "none"
        raise RecordError(
            f"no launch {settings.launch!r} in {settings.launches}: the newest are {known}"
        )
    found = {
        item.nodeid: history.newest(item.nodeid, point_of(item), settings.launch) for item in items
    }
    return {node: run for node, run in found.items() if run is not None}


def _reached_by(remote: Remote, record: LaunchRecord) -> LaunchRecord:
    """Let a launch's runs be reached as `remote` says, whose shell may differ."""
    recorded = record.launch.remote
    if recorded.host != remote.host:
        return record
    launch = replace(record.launch, remote=replace(recorded, shell=remote.shell))
    return replace(record, launch=launch)
