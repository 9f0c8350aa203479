"""What the modes that start from launch records share: the selected experiments and their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import pytest

from pytest_remex.errors import RecordError
from pytest_remex.model import Remote
from pytest_remex.pytest_plugin.anchor import node_of
from pytest_remex.pytest_plugin.items import point_of, say, skip
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.terminal import Terminal
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.store import LaunchRecord
from pytest_remex.transport import Connections


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

    def _skip_unsubmitted(self, item: pytest.Function) -> NoReturn:
        """Skip an experiment that has no run, and count it."""
        self._unsubmitted += 1
        say(item, "NOT SUBMITTED")
        skip("not submitted: --remex-submit sends it")


def _find_runs(items: Sequence[pytest.Function], settings: Settings) -> Mapping[str, RecordedRun]:
    """Return the newest run of each item by node id, or the one in the launch asked for."""
    index = RunIndex.read(settings.launches)
    launches = [record.launch.id for record in index.records]
    if settings.launch is not None and settings.launch not in launches:
        known = ", ".join(launches[-5:]) or "none"
        raise RecordError(
            f"no launch {settings.launch!r} in {settings.launches}: the newest are {known}"
        )
    found = {
        item.nodeid: index.newest(node_of(item), point_of(item), settings.launch) for item in items
    }
    return {node: recorded for node, recorded in found.items() if recorded is not None}


def _reached_by(remote: Remote, record: LaunchRecord) -> LaunchRecord:
    """Return a record whose remote is reached as `remote` says: its shell may differ today."""
    recorded = record.launch.remote
    if recorded.host != remote.host:
        return record
    launch = replace(record.launch, remote=replace(recorded, shell=remote.shell))
    return replace(record, launch=launch)
