"""What the launch records say of an experiment: whether it was submitted, and where it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_remex.model import Commit, Config
from pytest_remex.records.schema import LaunchRecord, RunRecord, Stage, read_records


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run, and the launch record that it stands in."""

    record: LaunchRecord
    entry: RunRecord


class RunIndex:
    """All launch records of an output folder, looked up by identity, and by node id and point."""

    def __init__(self, records: Iterable[LaunchRecord]) -> None:
        self.records = list(records)
        self._by_identity: dict[tuple[str, str], list[RecordedRun]] = {}
        self._by_name: dict[tuple[str, str], list[RecordedRun]] = {}
        for record in reversed(self.records):
            for entry in record.entries.values():
                found = RecordedRun(record, entry)
                self._by_identity.setdefault(entry.commit.identity, []).append(found)
                self._by_name.setdefault(_key(entry.node, entry.point), []).append(found)

    @classmethod
    def read(cls, folder: Path) -> RunIndex:
        """Read the launch records in `folder`. Raises `RecordError`."""
        return cls(read_records(folder))

    def submitted(self, commit: Commit, *, local: bool) -> RecordedRun | None:
        """Give the newest run of an experiment that was submitted, or was about to be.

        Runs on this machine do not count for a cluster, nor the other way round.
        """
        runs = self._by_identity.get(commit.identity, [])
        return next(self._counting(runs, local=local), None)

    def newest(self, node: str, point: Config, launch: str | None = None) -> RecordedRun | None:
        """Give the newest run of an experiment, or the one in the launch named."""
        runs = self._by_name.get(_key(node, point), [])
        return next((run for run in runs if launch in {None, run.record.launch.id}), None)

    def _counting(self, runs: Iterable[RecordedRun], *, local: bool) -> Iterator[RecordedRun]:
        for run in runs:
            here = run.record.launch.remote.host is None
            if here == local and run.entry.stage not in {Stage.REFUSED, Stage.REJECTED}:
                yield run


def _key(node: str, point: Config) -> tuple[str, str]:
    return node, json.dumps(point, sort_keys=True)
