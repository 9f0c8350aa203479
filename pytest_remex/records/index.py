"""What the launch records know of an experiment: whether it was submitted, and where it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pytest_remex.model import Commit, Config
from pytest_remex.records.schema import Launch, RunRecord, Stage
from pytest_remex.records.store import LaunchRecord, read_records


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run, and the launch record that it is in."""

    record: LaunchRecord
    run: RunRecord

    @property
    def launch(self) -> Launch:
        """The run's launch."""
        return self.record.launch


class RunIndex:
    """The runs of all launch records, looked up by commit, by node id, and by sweep."""

    def __init__(self, records: Iterable[LaunchRecord]) -> None:
        self.records = list(records)
        self._by_identity: dict[tuple[str, str], list[RecordedRun]] = {}
        self._by_node: dict[tuple[str, str], list[RecordedRun]] = {}
        for record in reversed(self.records):
            for run in record.runs.values():
                recorded = RecordedRun(record, run)
                self._by_identity.setdefault(run.commit.identity, []).append(recorded)
                self._by_node.setdefault((run.node, _text(run.point)), []).append(recorded)

    @classmethod
    def read(cls, folder: Path) -> RunIndex:
        """Return the index of the launch records in a folder. Raises `RecordError`."""
        return cls(read_records(folder))

    def submitted(self, commit: Commit, *, local: bool) -> RecordedRun | None:
        """Return the newest run of an experiment that was submitted, or was about to be.

        Runs on this machine do not count for a cluster, nor the other way round.
        """
        runs = self._by_identity.get(commit.identity, [])
        return next(_submitted(runs, local=local), None)

    def newest(self, node: str, point: Config, launch: str | None = None) -> RecordedRun | None:
        """Return the newest run of a node id's experiment, or the one in the launch named."""
        return _first(self._by_node.get((node, _text(point)), []), launch)

    def newest_of_sweep(
        self, sweep: str, point: Config, launch: str | None = None
    ) -> RecordedRun | None:
        """Return the newest run of a point of a sweep, whatever file the sweep was in."""
        return _first(self._by_sweep.get((sweep, _text(point)), []), launch)

    @cached_property
    def _by_sweep(self) -> dict[tuple[str, str], list[RecordedRun]]:
        found: dict[tuple[str, str], list[RecordedRun]] = {}
        for record in reversed(self.records):
            for run in record.runs.values():
                key = record.launch.name, _text(run.point)
                found.setdefault(key, []).append(RecordedRun(record, run))
        return found


def _first(runs: Iterable[RecordedRun], launch: str | None) -> RecordedRun | None:
    return next((each for each in runs if launch in {None, each.launch.id}), None)


def _submitted(runs: Iterable[RecordedRun], *, local: bool) -> Iterator[RecordedRun]:
    for each in runs:
        here = each.launch.remote.host is None
        if here == local and each.run.stage not in {Stage.REFUSED, Stage.REJECTED}:
            yield each


def _text(point: Config) -> str:
    return json.dumps(point, sort_keys=True)
