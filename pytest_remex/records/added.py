"""Replicates that --remex-again added to a sweep's grid, such as `mass=10-r2`.

The launch records say which there are, so every client of a runs folder knows them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from pytest_remex.errors import SweepError
from pytest_remex.model import REPLICATE, Config, Sweep
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import RunRecord, Stage
from pytest_remex.sweep import expand
from pytest_remex.variant import Variant


def replicate_of(run: RunRecord, sweep: Sweep) -> int:
    """Return which replicate of its point a run of a sweep is, from 1 on."""
    if REPLICATE in run.point or not sweep.is_replicated or run.identity is None:
        return sweep.replicate_in(run.point)
    return run.identity.replicate + 1


class Replicates:
    """The replicates of points that are recorded in one place; `runs` begin with the newest."""

    def __init__(self, sweep: Sweep, runs: Sequence[RecordedRun]) -> None:
        self._sweep = sweep
        self._runs = runs if sweep.counts_replicates else ()
        self._added: dict[str, dict[int, RecordedRun]] = {}
        for each in self._runs:
            if each.run.added and sweep.is_added(each.run.point) and self._is_ours(each):
                number = sweep.replicate_in(each.run.point)
                self._added.setdefault(_key(each.run.point), {}).setdefault(number, each)

    def _is_ours(self, recorded: RecordedRun) -> bool:
        run = recorded.run
        return not run.is_void and (run.sweep or recorded.launch.name) == self._sweep.name

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """The highest number of each point that was used, also for a job under another id."""
        found: dict[str, int] = {}
        for each in self._runs:
            if self._is_ours(each):
                claimed = each.run.identity.replicate + 1 if each.run.identity else 1
                number = max(claimed, self._sweep.replicate_in(each.run.point))
                key = _key(each.run.point)
                found[key] = max(number, found.get(key, 1))
        return found

    @property
    def points(self) -> list[Config]:
        """The points that were added to those of today's grid."""
        return [
            {**point, REPLICATE: number}
            for key, point in (_bases(self._sweep) if self._added else {}).items()
            for number in sorted(self._added.get(key, {}))
        ]

    def next(self, point: Config) -> Config | None:
        """Return the next replicate of a point; None if one was begun and not finished.

        Raises:
            SweepError: A parameter of the sweep is called `replicate`.

        """
        if not self._sweep.counts_replicates:
            raise SweepError(
                f"sweep {self._sweep.name} has a parameter {REPLICATE!r}, and --remex-again counts "
                f"by that name: give the parameter another name"
            )
        key = _key(point)
        number = max(self._numbers.get(key, 1), self._sweep.stated_replicates)
        newest = self._added.get(key, {}).get(number)
        if newest is not None and _is_unfinished(newest):
            return None
        return {**point, REPLICATE: number + 1}


def _is_unfinished(recorded: RecordedRun) -> bool:
    """Return whether the command that added a replicate was interrupted, or it got no job."""
    record, run = recorded.record, recorded.run
    is_open = record.own and bool(record.tips) and not record.tidied
    return is_open or run.stage is not Stage.RELEASED


def without_replicate(point: Config) -> Config:
    """Return a point without the number of its replicate."""
    return {name: value for name, value in point.items() if name != REPLICATE}


def _key(point: Config) -> str:
    return json.dumps(without_replicate(point), sort_keys=True)


def _bases(sweep: Sweep) -> dict[str, Config]:
    """Return today's points, the first replicate of each, by their text without a replicate."""
    found: dict[str, Config] = {}
    for point in expand(sweep):
        found.setdefault(_key(point), point)
    return found


def points_with_added(sweep: Sweep, runs: Iterable[RecordedRun]) -> Iterator[Config]:
    """Return the points of a sweep's grid, then the replicates that were added."""
    yield from expand(sweep)
    yield from Replicates(sweep, list(runs)).points


def added_to(
    sweeps: Iterable[tuple[Sweep, Variant]], runs: Iterable[RecordedRun]
) -> dict[tuple[str, Variant], list[Config]]:
    """Return the replicates that were added to variants of grids, by the sweep's name."""
    known = list(runs)
    by_name = {(sweep.name, variant): sweep for sweep, variant in sweeps}
    return {
        (name, variant): Replicates(sweep, [e for e in known if e.is_of(variant)]).points
        for (name, variant), sweep in by_name.items()
    }
