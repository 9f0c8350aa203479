"""The mode doctor: check each sweep file's repository and remote, item by item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from pytest_remex.common.protocol import FAULT, FINE, Check
from pytest_remex.launch.doctor import diagnose
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.facts import note_facts
from pytest_remex.pytest_plugin.item_outcomes import fail
from pytest_remex.pytest_plugin.items import is_experiment, place_key, places_of, sweep_for
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.selection import NEEDED
from pytest_remex.pytest_plugin.terminal import Terminal
from pytest_remex.transport import connect

_MARKUP = {FINE: {"green": True}, FAULT: {"red": True}}


class DoctorMode:
    """The plugin of the mode doctor; it checks the first experiment of a file on each remote."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        self._settings = settings
        self._terminal = Terminal(session.config)
        self._found: dict[tuple[Repo, Remote], list[Check]] = {}
        self._scripts: dict[Path, dict[str, None]] = {}
        for item in items:
            self._scripts.setdefault(item.path, {})[sweep_for(item).script] = None
        first = {(item.path, place_key(item)): item for item in reversed(items)}
        others = [item for item in session.items if item not in first.values()]
        if others:
            session.items[:] = [item for item in session.items if item in first.values()]
            session.config.hook.pytest_deselected(items=others)
        for item in first.values():
            item.fixturenames[:] = [name for name in item.fixturenames if name in NEEDED]

    @contextmanager
    def checkout(self, _item: pytest.Function, repo: Repo, _remote: Remote) -> Iterator[Path]:
        """Check nothing out: the body does not run."""
        yield repo.path

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Check the experiment's repository and remote instead of running a test."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        places = places_of(pyfuncitem)
        if places not in self._found:
            self._terminal.target(places[1])
            opened = partial(connect, prompt=self._terminal.prompt, notify=self._terminal.announce)
            self._found[places] = list(
                diagnose(*places, self._settings.output, opened, self._scripts[pyfuncitem.path])
            )
        checks = [check._asdict() for check in self._found[places]]
        note_facts(pyfuncitem, place=places[1].place, checks=checks)
        if faults := [check.name for check in self._found[places] if check.state == FAULT]:
            fail(f"{', '.join(faults)}: see the lines below")
        return True

    def pytest_terminal_summary(self) -> None:
        """Show all lines, each fault with its fix."""
        checks = [check for found in self._found.values() for check in found]
        for check in checks:
            markup = _MARKUP.get(check.state, {"yellow": True})
            self._terminal.say(f"{check.state:5} {check.name}: {check.found}", **markup)
            if check.fix:
                self._terminal.say(f"      fix: {check.fix}")
        faults = Counter(check.state for check in checks)[FAULT]
        again = "--remex-doctor, once that is fixed"
        self._terminal.say(f"next: {again if faults else '--remex-plan shows what would be sent'}")
        self._terminal.summary("remex doctor")
