"""Finds the runs of the selected experiments in the launch records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pytest_remex.errors import RecordError
from pytest_remex.model import Remote
from pytest_remex.modes.items import point_of
from pytest_remex.options import Settings
from pytest_remex.records.history import Found, History


def find_runs(items: Sequence[pytest.Function], settings: Settings) -> dict[str, Found]:
    """Give the newest run of each item by node id, or the one in the launch asked for.

    Raises `RecordError` where there is no such launch.
    """
    history = History.read(settings.launches)
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


def reached_by(remote: Remote, run: Found) -> Found:
    """Let a run be reached as `remote` says where that is the same host: its shell may differ."""
    recorded = run.record.launch.remote
    if recorded.host != remote.host:
        return run
    launch = replace(run.record.launch, remote=replace(recorded, shell=remote.shell))
    return replace(run, record=replace(run.record, launch=launch))
