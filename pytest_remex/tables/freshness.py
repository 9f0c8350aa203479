"""Says whether what a collect left is what it would leave now, so that it may be left alone.

A stamp is a digest of all that it was made of, and of the files as they were left: where an
experiment, an option, a release or one of the files differs, the stamp does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pluggy

from pytest_remex.io import writing
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.tables.judged import Judged

STAMP = ".collected"
MAKERS = ("pytest-remex", "pandas", "plotly", "itables", "Jinja2")
"""The packages whose release decides how the files look."""
OURS = "pytest_remex."
FILES = ("results.csv", "results.json", "report.html", "links")


class Freshness:
    """The stamp of the folder `shown`, for a collect of `group`."""

    def __init__(self, shown: Path, group: Sequence[Judged], settings: Settings) -> None:
        self._path = shown / STAMP
        launches = {each.collected.run.record.launch.id for each in group}
        folders = [shown, *(shown / "launches" / launch for launch in sorted(launches))]
        self._files = [folder / name for folder in folders for name in FILES]
        self._made_of = hashlib.sha256()
        for fact in _facts(group, settings):
            self._made_of.update(repr(fact).encode("utf-8", "backslashreplace"))

    @property
    def holds(self) -> bool:
        """Whether nothing differs since the stamp was made."""
        try:
            return self._path.read_text("ascii") == self._stamp()
        except (OSError, ValueError):
            return False

    def renew(self) -> None:
        """Stamp the files as they are. Raises `RecordError` where that cannot be written."""
        with writing(self._path):
            self._path.write_text(self._stamp(), "ascii")

    def _stamp(self) -> str:
        stamp = self._made_of.copy()
        stamp.update(repr([_signature(path) for path in self._files]).encode())
        return stamp.hexdigest()


def may_be_left(hook: pluggy.HookRelay) -> bool:
    """Say whether only this package has a part in the files: other code may have changed."""
    callers = (hook.pytest_remex_figures, hook.pytest_remex_link_name)
    plugins = [impl.plugin for caller in callers for impl in caller.get_hookimpls()]
    return all(_module(plugin).startswith(OURS) for plugin in plugins)


def _facts(group: Sequence[Judged], settings: Settings) -> Iterator[object]:
    yield [_release(name) for name in MAKERS]
    yield settings.launch, settings.layout, group[0].sweep
    for each in group:
        run = each.collected.run
        yield run.record.launch.id, run.record.launch.remote.host
        yield each.node, each.parameters, each.verdict, each.reason, each.measures, each.note
        yield run.entry.id, run.entry.point, run.entry.commit, run.entry.directory
        yield each.collected.job, each.collected.outputs.files


def _release(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _module(plugin: object) -> str:
    return str(getattr(plugin, "__name__", type(plugin).__module__))


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
