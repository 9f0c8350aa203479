"""Write each sweep's results, links and report, unless they are up to date.

This module does not import pandas: if everything is up to date, no slow import is needed.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pluggy
from filelock import FileLock

from pytest_remex.collect.judge import JudgedRun
from pytest_remex.common.grouping import grouped
from pytest_remex.display import Progress
from pytest_remex.hooks import OURS, GuardedHooks, modules_of
from pytest_remex.io import prepare_output_folder, replace_file, writing
from pytest_remex.names import function_of
from pytest_remex.tables.rows import INDEX, LAUNCHES, PublishOptions, results_folder
from pytest_remex.tables.stored import discard, recorded_rows, recorded_size
from pytest_remex.tables.table import Table

if TYPE_CHECKING:
    from pytest_remex.report import Portable

STAMP = ".collected"
MAKERS = ("pytest-remex", "pandas", "plotly", "Pillow", "Jinja2")
"""The packages whose version affects the content of the files."""
FILES = ("results.csv", "results.json", "report.html", "links")


class Published(NamedTuple):
    """The folder with a sweep's results and report; `table` is set if it was just written.

    `portable` describes the zip, if one was asked for; `uniform` are the columns that should have
    the same value in all rows. `earlier` says how many rows an earlier check judged, if some were.
    """

    sweep: str
    folder: Path
    table: Table | None
    portable: Portable | None = None
    uniform: Sequence[str] = ()
    earlier: str = ""


class TablesImport:
    """Imports what writes the tables, half a second's work, while this process waits for others."""

    def __init__(self) -> None:
        self._thread = threading.Thread(target=import_tables)

    def begin(self) -> None:
        """Begin, unless it has begun."""
        if self._thread.ident is None:
            self._thread.start()

    def wait(self) -> None:
        """Wait for the end, if it has begun: a check must not be watched meanwhile."""
        if self._thread.ident is not None:
            self._thread.join()

    def during(self, awaited: str, progress: Progress) -> Progress:
        """Return a progress that begins the import in the phase `awaited`."""

        def tell(phase: str, done: int, total: int, detail: str = "") -> None:
            if phase == awaited:
                self.begin()
            progress(phase, done, total, detail)

        return tell


def import_tables() -> None:
    """Import what writes the tables."""
    with suppress(Exception):  # it is raised again where the tables are written
        import_module("pytest_remex.tables.sweep_files")


def publish(
    judged: Iterable[JudgedRun], options: PublishOptions, hooks: GuardedHooks
) -> list[Published]:
    """Write each sweep's results, links and report, and return where they are.

    Raises:
        RemexError: They cannot be made or written; the message says why.

    """
    by_sweep = grouped(((each.sweep.name, each.variant), each) for each in judged)
    prepare_output_folder(options.output)
    lock = FileLock(options.output / ".collect.lock")
    with writing(lock.lock_file):
        held = lock.acquire()
    with held, writing(options.output):  # reading a folder can fail too, as in a stale file handle
        published = [_publish_sweep(group, options, hooks) for group in by_sweep.values()]
        has_index = (options.output / INDEX).is_file()
        if not has_index or any(each.table for each in published):
            from pytest_remex.tables.sweep_files import update_index  # noqa: PLC0415 - as below

            update_index(options.output)
        return published


def _publish_sweep(
    group: Sequence[JudgedRun], options: PublishOptions, hooks: GuardedHooks
) -> Published:
    sweep, variant = group[0].sweep.name, group[0].variant
    folder = results_folder(options.output, sweep, None, variant)
    shown = results_folder(options.output, sweep, options.launch, variant)
    stamp = Stamp(shown, group, options)
    uniform = hooks.flat("pytest_remex_uniform")
    size = recorded_size(shown)
    left = recorded_rows(shown, [each.node for each in group])
    changed = bool(left) or any(each.note_changed for each in group)
    is_fresh = not (options.portable or changed) and _is_ours_alone(hooks.relay) and stamp.holds
    if is_fresh:
        discard(shown, size)
        if hooks.relay.pytest_remex_collected.get_hookimpls():
            from pytest_remex.tables.sweep_files import announce  # noqa: PLC0415 - as below

            announce(shown, hooks)
        return Published(sweep, shown, None, uniform=uniform)
    from pytest_remex.tables import sweep_files  # noqa: PLC0415 - pandas takes half a second

    table, portable, earlier = sweep_files.write(group, folder, shown, options, hooks)
    functions = {function_of(each.node) for each in group}
    has_others = any(function_of(str(row["node"])) not in functions for row in table.rows)
    if not (earlier or has_others):  # the first is to be said again; the others' files can change
        stamp.renew()
    discard(shown, size)
    return Published(sweep, shown, table, portable, uniform, earlier)


class Stamp:
    """A digest of everything that a sweep's files depend on, and of the files' sizes and times.

    If it still matches, the files are not rewritten: a collect that finds nothing new does not have
    to import pandas and the report's libraries, or to write every row.
    """

    def __init__(self, shown: Path, group: Sequence[JudgedRun], options: PublishOptions) -> None:
        self._path = shown / STAMP
        launches = {each.collected.launch.id for each in group}
        folders = [shown, *(shown / LAUNCHES / launch for launch in sorted(launches))]
        self._files = [folder / name for folder in folders for name in FILES]
        self._made_of = hashlib.sha256()
        for fact in _facts(group, options):
            self._made_of.update(repr(fact).encode("utf-8", "backslashreplace"))

    @property
    def holds(self) -> bool:
        """Whether nothing has changed since the stamp was written."""
        try:
            return self._path.read_text("ascii") == self._text()
        except (OSError, ValueError):
            return False

    def renew(self) -> None:
        """Write the stamp for the current files. Raises `RecordError` if that fails."""
        replace_file(self._path, self._text())

    def _text(self) -> str:
        digest = self._made_of.copy()
        digest.update(repr([_signature(path) for path in self._files]).encode())
        return digest.hexdigest()


def _is_ours_alone(hook: pluggy.HookRelay) -> bool:
    """Return whether only this package contributes to the files: other code may have changed."""
    callers = (hook.pytest_remex_figures, hook.pytest_remex_link_name, hook.pytest_remex_uniform)
    return all(name.startswith(OURS) for name in modules_of(callers))


def _facts(group: Sequence[JudgedRun], options: PublishOptions) -> Iterator[object]:
    yield [_release(name) for name in MAKERS]
    yield options.launch, options.layout, group[0].sweep, options.parameters
    for each in group:
        run, launch = each.collected.run, each.collected.launch
        yield launch.id, launch.remote.host, launch.note
        yield each.node, each.parameters, each.verdict, each.reason, each.measures, each.note
        yield each.curves
        yield run.id, run.point, run.commit, run.directory
        yield each.collected.job, each.collected.outputs.files


def _release(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
