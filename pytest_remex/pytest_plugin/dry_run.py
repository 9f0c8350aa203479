"""Dry run and plan: every patch is tried, and nothing leaves the machine."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_remex.launch.cost import Cost
from pytest_remex.model import Experiment, Remote, Repo
from pytest_remex.pytest_plugin import preparation
from pytest_remex.pytest_plugin.items import is_experiment, places_of, say, sweep_for
from pytest_remex.pytest_plugin.options import Mode, Settings
from pytest_remex.pytest_plugin.terminal import Terminal
from pytest_remex.records.index import RunIndex
from pytest_remex.repo.workspace import Prepared, Workspaces

SHOWN = 20
"""Experiments whose diffs a plan shows without -v."""


@dataclass(frozen=True, slots=True)
class Line:
    """One experiment of a plan."""

    prepared: Prepared
    news: str
    submitted: bool
    asked: bool
    """Whether --remex-submit sends it."""
    size: int
    """Bytes that its run directory will take."""


class DryRun:
    """The plugin of the dry run and of the mode plan."""

    def __init__(self, session: pytest.Session, settings: Settings) -> None:
        self._config = session.config
        self._settings = settings
        self._terminal = Terminal(session.config)
        self._workspaces = Workspaces(kept=False)
        self._history = RunIndex.read(settings.launches)
        self._lines: list[Line] = []

    def checkout(
        self, item: pytest.Function, repo: Repo, _remote: Remote
    ) -> AbstractContextManager[Path]:
        """Lend the scratch checkout to an experiment."""
        return preparation.checkout(self._workspaces, repo, sweep_for(item).branch)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Run the patch in place of the test."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        prepared = preparation.prepare(pyfuncitem, self._workspaces, self._inspect)
        repo, remote = places_of(pyfuncitem)
        preparation.warn(self._terminal, self._workspaces.git(repo), prepared)
        size = self._workspaces.size(repo, prepared.commit.base, remote.shared)
        line = self._line(prepared, remote, size)
        self._lines.append(line)
        if self._settings.mode is Mode.PLAN:
            say(pyfuncitem, line.news)
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Remove the scratch checkouts, after the last fixture."""
        self._workspaces.close()

    def pytest_terminal_summary(self) -> None:
        """Show the plan."""
        if self._settings.mode is Mode.PLAN:
            self._show()
        self._terminal.summary(f"remex {self._settings.mode}")

    def _inspect(self, experiment: Experiment, originals: Mapping[str, bytes]) -> None:
        inspect = self._config.hook.pytest_remex_inspect
        for warnings in inspect(experiment=experiment, originals=originals):
            for warning in warnings or ():
                self._terminal.note(warning)

    def _line(self, prepared: Prepared, remote: Remote, size: int) -> Line:
        found = self._history.submitted(prepared.commit, local=remote.host is None)
        if found is None:
            return Line(prepared, "NEW", submitted=False, asked=True, size=size)
        if not found.run.stage.settled:
            news = f"INTERRUPTED at {found.run.stage}"
            return Line(prepared, news, submitted=False, asked=True, size=size)
        news = f"ALREADY SUBMITTED job {found.run.job}"
        return Line(prepared, news, submitted=True, asked=self._settings.again, size=size)

    def _show(self) -> None:
        verbose = self._config.getoption("verbose") > 0
        shown = self._lines if verbose else self._lines[:SHOWN]
        for line in shown:
            self._terminal.say(f"{line.prepared.node}  {line.news}", bold=True)
            for text in line.prepared.diff.splitlines() or ["(no change: this is the base itself)"]:
                self._terminal.say(f"    {text}", **_look(text))
        if len(shown) < len(self._lines):
            self._terminal.say(f"and {len(self._lines) - len(shown)} more: -v shows them all")
        asked = [(line.prepared.header, line.size) for line in self._lines if line.asked]
        submitted = sum(line.submitted for line in self._lines)
        again = ", and submitted again" if submitted and self._settings.again else ""
        self._terminal.say(
            f"--remex-submit {f'asks for {Cost.of(asked)}' if asked else 'has nothing to send'}; "
            f"{submitted} already submitted{again}",
            green=True,
        )


def _look(text: str) -> dict[str, bool]:
    if text.startswith(("+++", "---", "")):
        return {"light": True}
    return {"green": True} if text.startswith("+") else {"red": text.startswith("-")}
