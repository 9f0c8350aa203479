"""Items of sweeps that come after others: their order, and the upstreams that a selection lacks."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from types import FunctionType
from typing import TypeAlias

import pytest

from pytest_remex.errors import SweepError
from pytest_remex.experiment import full_name
from pytest_remex.model import Config, Sweep
from pytest_remex.names import function_of, label
from pytest_remex.pytest_plugin.fixtures import is_pinned
from pytest_remex.pytest_plugin.item_outcomes import WORD, reason_of, skip
from pytest_remex.pytest_plugin.items import (
    experiments,
    parameters_of,
    point_of,
    sweep_for,
    variant_of,
)
from pytest_remex.sweep import SWEEP_FILES, sweep_of, upstream_at
from pytest_remex.variant import Variant

Key: TypeAlias = tuple[str, str, str]
"""A point of a sweep: its file, its name, the point as text."""
COLLECTED = pytest.StashKey[list[pytest.Function]]()
"""All experiments that were collected, also those that were deselected."""
ADDED = pytest.StashKey[bool]()
"""Set on items that the user did not select."""
STAGED = pytest.StashKey[bool]()
"""Set on a session in which experiments come after others: else nothing is kept for them."""
LEFT_OUT = pytest.StashKey[dict[tuple[Variant, Key], str]]()
"""Why experiments of a session were skipped, or were not run because of their mark xfail."""


def is_imported(collector: pytest.Collector, function: object) -> bool:
    """Return whether a module imported a sweep that is defined in another."""
    module = collector.module if isinstance(collector, pytest.Module) else None
    home = sys.modules.get(getattr(function, "__module__", ""))
    if module is None or home is None or home is module:
        return False
    is_there = any(each is function for each in vars(home).values())
    same_file = getattr(home, "__file__", None) == getattr(module, "__file__", "")
    return is_there and not same_file


def warn_if_not_collected(collector: pytest.Module | pytest.Class, sweep: Sweep) -> None:
    """Warn that pytest does not collect a sweep that a sweep file imports.

    It is collected if its own file is a sweep file or was given, or with a sweep that comes after.
    """
    home = Path(sweep.file)
    is_collected = _is_sweep_file(home) or collector.session.isinitpath(home)
    needing = [found for each in vars(collector.obj).values() if (found := sweep_of(each))]
    is_needed = any(each.after is sweep for each in needing)
    if is_collected or is_needed or not _is_sweep_file(collector.path):
        return
    text = (
        f"{collector.path.name} imports the sweep {sweep.name} from {home.name}, where pytest does "
        f"not look for it: rename that file sweep_{home.name}, or give it to pytest too"
    )
    collector.warn(pytest.PytestCollectionWarning(text))


def refuse_hidden_sweep(name: str, found: object) -> None:
    """Refuse a function that a decorator put in the place of a sweep, which is called no more.

    Raises:
        SweepError: The function holds the sweep that was defined under its name.

    """
    if not isinstance(found, FunctionType) or sweep_of(found):
        return
    for cell in found.__closure__ or ():
        with suppress(ValueError):  # a cell may be empty
            held = cell.cell_contents
            if isinstance(held, FunctionType) and sweep_of(held) and held.__name__ == name:
                raise SweepError(
                    f"the decorator above @sweep hides the sweep {name} from pytest: let it use "
                    f"functools.wraps, or leave it out"
                )


def _is_sweep_file(path: Path) -> bool:
    return any(fnmatchcase(path.name, pattern) for pattern in SWEEP_FILES)


def key_of(sweep: Sweep, point: Config) -> Key:
    """Return what names a point of a sweep."""
    return sweep.file, sweep.name, json.dumps(point, sort_keys=True)


def key_of_item(item: pytest.Function) -> Key:
    """Return what names an experiment."""
    return key_of(sweep_for(item), point_of(item))


def upstream_key(item: pytest.Function) -> Key | None:
    """Return the key of the experiment that an item comes after; None if there is none."""
    before = upstream_at(sweep_for(item), point_of(item))
    return key_of(before.sweep, before.point) if before else None


def note_left_out(item: pytest.Item, report: pytest.TestReport) -> None:
    """Note that a sweep skips an experiment, so that those after it are skipped too."""
    if not report.skipped or STAGED not in item.session.stash:
        return
    by_mode = WORD in item.stash  # such as what is already submitted
    if isinstance(item, pytest.Function) and not by_mode:
        why = str(getattr(report, "wasxfail", "")) or reason_of(report)
        left_out = item.session.stash.setdefault(LEFT_OUT, {})
        left_out[variant_of(item), key_of_item(item)] = why


def skip_after_left_out(item: pytest.Function) -> None:
    """Skip an experiment whose upstream was skipped."""
    before = upstream_at(sweep_for(item), point_of(item))
    left_out = item.session.stash.get(LEFT_OUT, {})
    if before is None or not left_out:
        return
    why = left_out.get((variant_of(item), key_of(before.sweep, before.point)))
    if why is not None:
        skip(f"{full_name(before)}, which it comes after, is skipped: {why}")


def in_order(session: pytest.Session, *, complete: bool) -> list[pytest.Function] | None:
    """Return the session's experiments, each after its upstream; None if they stay as they are.

    Args:
        session: The session, without what was deselected.
        complete: Add the upstreams that are not among them.

    Raises:
        SweepError: An upstream cannot be collected, or is also parametrized.

    """
    chosen = experiments(session.items)
    if not any(sweep_for(item).after for item in chosen):
        return None
    session.stash[STAGED] = True
    found = {key_of_item(item): item for item in chosen}
    others = {key_of_item(item): item for item in session.stash.get(COLLECTED, [])}
    others |= found
    ordered: dict[Key, pytest.Function] = {}

    def take(item: pytest.Function) -> None:
        before = upstream_key(item)
        if before is not None:
            if complete and before not in others:
                others.update(_collected(session, item))
            upstream = (others if complete else found).get(before)
            if upstream is not None and before not in ordered:
                take(upstream)
        ordered.setdefault(key_of_item(item), item)

    for item in chosen:
        take(item)
    _mark_added(ordered.values(), chosen)
    several = [item for item in chosen if ordered[key_of_item(item)] is not item]
    return [*ordered.values(), *several]


def refuse_shared_names(session: pytest.Session) -> None:
    """Refuse two sweeps of one name, whose results would be written to the same files.

    Names that differ only in case are one folder on Macs.

    Raises:
        SweepError: There are two; the message says where.

    """
    known: dict[str, tuple[Sweep, str]] = {}
    for item in (*session.stash.get(COLLECTED, ()), *experiments(session.items)):
        sweep, node = sweep_for(item), function_of(item.nodeid)
        first, other = known.setdefault(label(sweep.name).casefold(), (sweep, node))
        if sweep is not first and sweep != first:
            raise SweepError(
                f"{other} and {node} are two sweeps with the name {sweep.name!r}, under which "
                f"their results are written: give one of them another name=...; its runs are kept"
            )


def _mark_added(items: Collection[pytest.Function], chosen: Sequence[pytest.Function]) -> None:
    here = {id(item) for item in chosen}
    afters = {key for item in items if (key := upstream_key(item))}
    for item in items:
        if key_of_item(item) in afters and parameters_of(item):
            fix = (
                "choose one with --remex-remote=NAME"
                if is_pinned(item)
                else ("make that a dimension of the sweep")
            )
            raise SweepError(
                f"{item.nodeid} has parameters of fixtures or of pytest.mark.parametrize too, and "
                f"another sweep comes after it: {fix}"
            )
        if id(item) not in here:
            item.stash[ADDED] = True


def _collected(
    session: pytest.Session, item: pytest.Function
) -> Iterator[tuple[Key, pytest.Function]]:
    """Collect the file of an item's upstream, which the command line does not name."""
    before = sweep_for(item).after
    path = Path(before.file) if before else Path()
    if before is None or not path.is_file():
        raise SweepError(
            f"{item.nodeid} comes after {before.name if before else '?'}, whose file {path} is not "
            f"there"
        )
    module = pytest.Module.from_parent(_folder_of(session, path), path=path)
    for each in experiments(list(session.genitems(module))):
        yield key_of_item(each), each


def _folder_of(session: pytest.Session, path: Path) -> pytest.Collector:
    """Return the collector of a file's folder, whose conftest.py is read, as are those above."""
    parent: pytest.Collector = session
    root = session.config.rootpath
    if not path.is_relative_to(root):
        return session
    names = path.relative_to(root).parts[:-1]
    for folder in (root, *(root.joinpath(*names[: place + 1]) for place in range(len(names)))):
        hook = session.gethookproxy(folder.parent)
        found = hook.pytest_collect_directory(path=folder, parent=parent)
        if found is not None:
            parent = found
            session.config.hook.pytest_make_collect_report(collector=parent)
    return parent
