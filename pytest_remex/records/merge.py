"""Merge the files about one launch: its record, and additions to it.

Each file has one writer, so the order of events is known within a file, but not between files. For
each run the file that got further counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_remex.common.grouping import grouped
from pytest_remex.names import launch_stamp
from pytest_remex.records.fields import Collection
from pytest_remex.records.schema import Renamed, RunRecord, Stage
from pytest_remex.records.store import LaunchRecord, is_addition

ORDER = (
    Stage.COMMITTED,
    Stage.PUSHED,
    Stage.PLACED,
    Stage.SUBMITTING,
    Stage.INDOUBT,
    Stage.REFUSED,
    Stage.HELD,
    Stage.REJECTED,
    Stage.RELEASED,
)
"""The stages, from least to most advanced."""


def merged(records: Iterable[LaunchRecord]) -> list[LaunchRecord]:
    """Return one record for each launch, oldest launch first.

    The record of a launch is the file that began it: the output folder's own, unless there is a
    copy of it, which exists only if it says more.
    """
    groups = grouped(((each.launch.id, each.launch.token), each) for each in records)
    found = [_merge(sorted(group, key=_precedence)) for group in groups.values()]
    return sorted(found, key=lambda record: (launch_stamp(record.launch.id), record.launch.id))


def _precedence(record: LaunchRecord) -> tuple[bool, bool, str]:
    """Return a key that sorts copies first and own additions last, so that their names win."""
    return is_addition(record.path), record.own, record.path.stem


def _merge(files: list[LaunchRecord]) -> LaunchRecord:
    record, *others = files
    removed = frozenset[str]().union(*(each.removed for each in files))
    left = {
        each.worker: each.tips
        for each in files
        if each.tips and not each.own and not each.tidied and each.worker not in removed
    }
    if not record.own:
        record = record._replace(tips=(), tidied=False)  # they are about another client's branch
    for other in others:
        runs = dict(record.runs)
        for sha, run in other.runs.items():
            runs[sha] = _further(runs[sha], run) if sha in runs else run
        for sha, notes in other.notes.items():
            if sha in runs:
                runs[sha] = _noted(runs[sha], notes)
        record = record._replace(runs=runs)
        if other.own and is_addition(other.path):
            record = record._replace(tips=other.tips, tidied=other.tidied)
    return record._replace(removed=removed, left=left)


def _further(one: RunRecord, other: RunRecord) -> RunRecord:
    """Combine what two files say about a run; the names are those of `other`."""
    ahead, behind = (one, other) if _progress(one) >= _progress(other) else (other, one)
    same = behind.final is not None and behind.final.id == ahead.job
    known = behind.command if behind.job_number == ahead.job_number else ""
    found = ahead._replace(
        final=ahead.final or (behind.final if same else None),
        collected=_collected(ahead, behind.collected),
        command=ahead.command or known,  # copies have none
        identity=ahead.identity or behind.identity,
        discarded=ahead.discarded or (behind.discarded and _progress(one) == _progress(other)),
        variants=tuple(dict.fromkeys((*one.variants, *other.variants))),
    )
    if (one.node, one.point, one.aliases) == (other.node, other.point, other.aliases):
        return found
    for names in (*one.aliases, Renamed.of(one), *other.aliases, Renamed.of(other)):
        found = names.apply(found)
    return found


def _collected(run: RunRecord, other: Collection | None) -> Collection | None:
    """Return who collected a run's job, by its own file or by another one."""
    is_about_its_job = other is not None and other.job == run.job
    return run.collected or (other if is_about_its_job else None)


def _progress(run: RunRecord) -> tuple[int, int]:
    return run.job_number, ORDER.index(run.stage)


def _noted(run: RunRecord, notes: Mapping[str, Any]) -> RunRecord:
    """Return a run with another file's notes: its final state, who collected it, its names."""
    final = notes.get("final")
    is_end = run.final is None and getattr(final, "id", None) == run.job
    found = run._replace(
        final=final if is_end else run.final,
        collected=_collected(run, notes.get("collected")),
        variants=tuple(dict.fromkeys((*run.variants, *notes.get("variants", ())))),
    )
    for names in notes.get("renamed", ()):
        found = names.apply(found)
    return found
