"""The other processes that judge runs for a collect, as it sees them: see `workers`, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import pytest

from pytest_remex.collect.runs import CollectedRun
from pytest_remex.pytest_plugin.handover import Collect
from pytest_remex.tables.publish import TablesImport


class OtherProcesses(Protocol):
    """The processes that judge runs for the one that collects."""

    collect: Collect
    """The collect that they are a part of."""
    tables: TablesImport
    """The import of what writes tables, which is begun while this process waits."""

    def expect(self, items: Sequence[pytest.Item], tell: Callable[[str], None]) -> None:
        """Take in the items of the collect, and whom to tell notes for the user."""

    def add(self, runs: Mapping[str, CollectedRun], needs_check: Callable[[str], bool]) -> None:
        """Have runs judged, by node id, as far as their checks have to run."""

    def wait_for(self, item: pytest.Item) -> Sequence[pytest.TestReport] | None:
        """Wait for an item's reports; None if it has to be judged by this process."""

    def close(self) -> Sequence[pytest.Item]:
        """End all processes, and return the items whose verdicts were not waited for."""


class NoOtherProcesses:
    """Those of a collect that judges all runs in its own process."""

    def __init__(self) -> None:
        self.collect = Collect.new()
        self.tables = TablesImport()

    def expect(self, _items: Sequence[pytest.Item], _tell: Callable[[str], None]) -> None:
        """Expect nothing."""

    def add(self, _runs: Mapping[str, CollectedRun], _needs_check: Callable[[str], bool]) -> None:
        """Leave all to this process, whose checks must not be watched while it imports."""
        self.tables.wait()

    def wait_for(self, _item: pytest.Item) -> None:
        """Return that an item has to be judged by this process."""

    def close(self) -> Sequence[pytest.Item]:
        """Return that nothing was left."""
        return ()
