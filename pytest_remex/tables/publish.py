"""What a collect leaves for a person: for each sweep the results, the links and the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pluggy
from filelock import FileLock

from pytest_remex import names
from pytest_remex.io import writing
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.tables.freshness import Freshness, may_be_left
from pytest_remex.tables.judged import Judged


def write_all(judged: Iterable[Judged], settings: Settings, hook: pluggy.HookRelay) -> list[Path]:
    """Write what a person reads, where it is not there yet, and give the folders that hold it.

    Raises `RemexError` for what a user can mend.
    """
    by_name: dict[str, list[Judged]] = {}
    for each in judged:
        by_name.setdefault(each.sweep.name, []).append(each)
    settings.prepare_output()
    lock = FileLock(settings.output / ".collect.lock")
    with writing(lock.lock_file):
        held = lock.acquire()
    with held:
        return [_write(group, settings, hook) for group in by_name.values()]


def _write(group: Sequence[Judged], settings: Settings, hook: pluggy.HookRelay) -> Path:
    folder = settings.output / names.label(group[0].sweep.name)
    shown = folder if settings.launch is None else folder / "launches" / settings.launch
    freshness = Freshness(shown, group, settings)
    is_fresh = may_be_left(hook) and freshness.holds and not any(each.renoted for each in group)
    if is_fresh and not hook.pytest_remex_collected.get_hookimpls():
        return shown
    from pytest_remex.tables import showing  # noqa: PLC0415 - pandas takes half a second

    if is_fresh:
        showing.tell(shown, hook)
        return shown
    showing.show(group, folder, shown, settings, hook)
    freshness.renew()
    return shown
