"""Items of added replicates: recorded ones, and those that --remex-again adds.

Replicates in this machine's launch records are collected like the grid. Those in a runs folder
are known only once a mode has connected: then items are added to the running session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import pytest

from pytest_remex.common.grouping import grouped
from pytest_remex.errors import RecordError
from pytest_remex.model import Config, Sweep
from pytest_remex.names import launch_stamp
from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.fixtures import by_place, place_key
from pytest_remex.pytest_plugin.item_outcomes import say, skip
from pytest_remex.pytest_plugin.items import (
    VARIANT,
    experiments,
    like,
    parameters_of,
    point_of,
    sweep_for,
    variant_of,
)
from pytest_remex.pytest_plugin.project import project_folders
from pytest_remex.pytest_plugin.stages import ADDED, COLLECTED, Key, key_of, key_of_item
from pytest_remex.records.added import Replicates, points_with_added, without_replicate
from pytest_remex.records.copies import FOLDER
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.store import SUFFIX, LaunchRecord, read_record, record_files
from pytest_remex.repo.git import Git
from pytest_remex.sweep import upstream_at
from pytest_remex.variant import Variant

MARK = b'"added": true'
"""The text in a launch record's line that introduces an added replicate."""
SweepKey: TypeAlias = tuple[str, str]
"""A sweep, by its file and its name."""
ONLY = pytest.StashKey[Mapping[SweepKey, Sequence[Config]]]()
"""The points to collect instead of the grids, if a file is collected again."""
RECORDED = pytest.StashKey[Sequence[RecordedRun]]()
"""The recorded runs of added replicates, the newest first."""
NOT_HERE = "a replicate that was added elsewhere: --remex-again adds one here"


def points_of(config: pytest.Config, sweep: Sweep) -> list[Config]:
    """Return the points of a sweep that are to be collected."""
    if (only := config.stash.get(ONLY, None)) is not None:
        return list(only.get((sweep.file, sweep.name), ()))
    chosen = options.settings(config)
    variants = [each for each in (chosen.variant, chosen.against) if each is not None]
    runs = [each for each in _recorded_here(config) if any(map(each.is_of, variants))]
    return list(points_with_added(sweep, runs))


def _recorded_here(config: pytest.Config) -> Sequence[RecordedRun]:
    """Return the runs of added replicates in this machine's records."""
    if RECORDED not in config.stash:
        project = project_folders(config)
        records: list[LaunchRecord] = []
        # the mode reports what cannot be read
        paths = [*(project.output / FOLDER).rglob(f"*{SUFFIX}")]
        with suppress(RecordError):
            paths += record_files(project.output / "launches")
        for path in paths:
            with suppress(RecordError, OSError):
                if MARK in path.read_bytes() and (record := read_record(path)):
                    records.append(record)
        git = Git(project.top) if records else None
        ours = [each for each in records if git and git.has(each.launch.base)]
        ours.sort(key=lambda each: launch_stamp(each.launch.id), reverse=True)
        config.stash[RECORDED] = [
            RecordedRun(each, run) for each in ours for run in each.runs.values()
        ]
    return config.stash[RECORDED]


def add_recorded(
    session: pytest.Session,
    items: Sequence[pytest.Function],
    runs: Sequence[RecordedRun],
    *,
    local: bool,
) -> list[pytest.Function]:
    """Add the replicates that are recorded in a place and have no item yet; return their items.

    Args:
        session: The session.
        items: The items that run in that place.
        runs: The runs of the launch records, the newest first.
        local: Whether the place is this machine.

    """
    new: list[pytest.Function] = []
    for variant, its in grouped((variant_of(each), each) for each in items).items():
        here = [each for each in runs if each.is_here(local=local) and each.is_of(variant)]
        wanted = {
            key_of(sweep, point): point
            for sweep in _sweeps_of(its)
            for point in Replicates(sweep, here).points
        }
        new += _collected(session, its, wanted)
    if new:
        config = session.config
        config.hook.pytest_collection_modifyitems(session=session, config=config, items=new)
    _append(session, new)
    return new


class AskedReplicates:
    """The replicates of a plan or a submit: recorded ones, and those that --remex-again adds.

    Args:
        session: The session.
        items: The experiments.
        again: Whether to add a replicate to each point that was chosen.

    """

    def __init__(
        self, session: pytest.Session, items: Sequence[pytest.Function], *, again: bool
    ) -> None:
        self._session = session
        self._groups = by_place(items)
        self._again = again
        self._known: set[tuple[object, Variant, Key]] = set()

    def add_items(self, item: pytest.Function, index: RunIndex, *, local: bool) -> bool:
        """Add items if an item is the first on its remote; return whether there are more now.

        Args:
            item: The item.
            index: The runs of the launch records.
            local: Whether that place is this machine.

        Raises:
            SweepError: A sweep cannot count its replicates.

        """
        group = self._groups.pop(place_key(item), None) if self._groups else None
        if group is None:
            return False
        known = list(index.newest_first())
        new = add_recorded(self._session, group, known, local=local)
        for variant, items in grouped((variant_of(each), each) for each in group).items():
            here = [each for each in known if each.is_here(local=local) and each.is_of(variant)]
            for sweep in _sweeps_of(items):
                points = Replicates(sweep, here).points
                place = place_key(item)
                self._known |= {(place, variant, key_of(sweep, point)) for point in points}
            chosen = [each for each in items if ADDED not in each.stash]
            if self._again and chosen:
                new += self._add(chosen, here)
        return bool(new)

    def skip_unknown(self, item: pytest.Function) -> None:
        """Skip an item of a replicate that this place does not know."""
        if not sweep_for(item).is_added(point_of(item)):
            return
        if (place_key(item), variant_of(item), key_of_item(item)) not in self._known:
            say(item, "NOT SUBMITTED")
            skip(NOT_HERE)

    def _add(
        self, chosen: Sequence[pytest.Function], here: Sequence[RecordedRun]
    ) -> list[pytest.Function]:
        """Add a replicate to each point, with those of pytest's parameters that were chosen."""
        by_sweep = {_sweep_key(sweep): Replicates(sweep, here) for sweep in _sweeps_of(chosen)}
        asked: dict[str, Config | None] = {}
        wanted: dict[Key, Config] = {}
        for item in chosen:
            sweep, base = sweep_for(item), _base_key(item)
            if base not in asked:
                asked[base] = point = by_sweep[_sweep_key(sweep)].next(point_of(item))
                if point is not None:
                    _want(wanted, sweep, point)
        place = place_key(chosen[0])
        self._known |= {(place, variant_of(chosen[0]), key) for key in wanted}
        parameters = {(_base_key(item), repr(parameters_of(item))) for item in chosen}
        new = [
            each
            for each in _collected(self._session, chosen, wanted)
            if (base := _base_key(each)) not in asked
            or (base, repr(parameters_of(each))) in parameters
        ]
        _append(self._session, new)
        return new


def _want(wanted: dict[Key, Config], sweep: Sweep, point: Config) -> None:
    """Add a point, after its upstream's replicate if that is an added one too."""
    before = upstream_at(sweep, point)
    if before is not None and before.sweep.is_added(before.point):
        _want(wanted, before.sweep, before.point)
    wanted.setdefault(key_of(sweep, point), point)


def _base_key(item: pytest.Function) -> str:
    """Return what all replicates of an item's point share."""
    return repr(key_of(sweep_for(item), without_replicate(point_of(item))))


def _collected(
    session: pytest.Session, items: Sequence[pytest.Function], wanted: Mapping[Key, Config]
) -> list[pytest.Function]:
    """Collect points of sweeps from the files that define them, without those that have items."""
    if not wanted:
        return []
    variant, collected = variant_of(items[0]), session.stash.get(COLLECTED, [])
    have = {
        (key_of_item(each), place_key(each))
        for each in (*collected, *experiments(session.items))
        if each.stash.get(VARIANT, variant) == variant
    }
    place = place_key(items[0])
    only = grouped((key[:2], point) for key, point in wanted.items() if (key, place) not in have)
    if not only:
        return []
    sources = [each for each in (*items, *collected) if _sweep_key(sweep_for(each)) in only]
    found = _collected_again(session, sources, only)
    new = [
        each
        for each in found
        if place_key(each) == place
        and (key := key_of_item(each)) in wanted
        and (key, place) not in have
    ]
    return [like(items[0], each) for each in new]


def _collected_again(
    session: pytest.Session,
    items: Iterable[pytest.Function],
    only: Mapping[SweepKey, Sequence[Config]],
) -> list[pytest.Function]:
    """Collect the files of items again, with these points instead of the grids."""
    modules: dict[Path, pytest.Module] = {}
    for each in items:
        if (module := each.getparent(pytest.Module)) is not None:
            modules.setdefault(module.path, module)
    found: list[pytest.Function] = []
    session.config.stash[ONLY] = only
    try:
        for path, module in modules.items():
            again = pytest.Module.from_parent(module.parent, path=path)
            found += experiments(list(session.genitems(again)))
    finally:
        del session.config.stash[ONLY]
    return found


def _append(session: pytest.Session, new: Sequence[pytest.Function]) -> None:
    session.items.extend(new)
    session.testscollected += len(new)


def _sweeps_of(items: Iterable[pytest.Function]) -> list[Sweep]:
    """Return the sweeps of experiments, without repetition."""
    return list({_sweep_key(sweep): sweep for sweep in map(sweep_for, items)}.values())


def _sweep_key(sweep: Sweep) -> SweepKey:
    return sweep.file, sweep.name
