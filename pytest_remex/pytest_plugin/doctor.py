"""The mode doctor: check each sweep file's repository and remote, item by item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from pytest_remex.common.protocol import FAULT, FINE, Check
from pytest_remex.launch.doctor import diagnose
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.facts import note_facts
from pytest_remex.pytest_plugin.fixtures import place_key, places_of
from pytest_remex.pytest_plugin.item_outcomes import fail
from pytest_remex.pytest_plugin.items import sweep_for
from pytest_remex.pytest_plugin.mode import Mode, ModeContext
from pytest_remex.pytest_plugin.query_mode import leave_fixtures_out
from pytest_remex.transport.connection import connect

_MARKUP = {FINE: {"green": True}, FAULT: {"red": True}}


class DoctorMode(Mode):
    """The mode doctor; it checks the first experiment of a file on each remote."""

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        super().__init__(context)
        self._found: dict[tuple[Repo, Remote], list[Check]] = {}
        self._scripts: dict[Path, dict[str, None]] = {}
        for item in items:
            self._scripts.setdefault(item.path, {})[sweep_for(item).script] = None
        first = {(item.path, place_key(item)): item for item in reversed(items)}
        session = context.session
        others = [item for item in session.items if item not in first.values()]
        if others:
            session.items[:] = [item for item in session.items if item in first.values()]
            session.config.hook.pytest_deselected(items=others)
        leave_fixtures_out(first.values())

    def run(self, item: pytest.Function) -> None:
        """Check the experiment's repository and remote."""
        __tracebackhide__ = True
        places, terminal = places_of(item), self.terminal
        if places not in self._found:
            terminal.target(places[1])
            opened = partial(connect, prompt=terminal.prompt, notify=terminal.announce)
            output, scripts = self.settings.output, self._scripts[item.path]
            self._found[places] = list(diagnose(*places, output, opened, scripts))
        checks = [check._asdict() for check in self._found[places]]
        note_facts(item, place=places[1].place, checks=checks)
        if faults := [check.name for check in self._found[places] if check.state == FAULT]:
            fail(f"{', '.join(faults)}: see the lines below")

    def summarize(self) -> None:
        """Show all lines, each fault with its fix."""
        terminal = self.terminal
        checks = [check for found in self._found.values() for check in found]
        for check in checks:
            markup = _MARKUP.get(check.state, {"yellow": True})
            found = check.found.replace("\n", "\n      ")
            terminal.say(f"{check.state:5} {check.name}: {found}", **markup)
            if check.fix:
                terminal.say(f"      fix: {check.fix}")
        faults = Counter(check.state for check in checks)[FAULT]
        again = "--remex-doctor, once that is fixed"
        terminal.say_next(again if faults else "--remex-plan shows what would be sent")
