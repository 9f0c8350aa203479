"""What a mode is, and the pytest hooks that call it.

A mode has what it needs: a `ModeContext`, and the parts that it shares with others, such as
`selection.RecordedRuns`. No mode is a kind of another one; bisect runs two in turns. A mode may
have hooks of its own besides; it is registered as a plugin too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from pytest_remex.common.jobs import JobState
from pytest_remex.launch.options import Folders
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.command_line import PREPARING, ModeName
from pytest_remex.pytest_plugin.endings import ExamplesOfFailures
from pytest_remex.pytest_plugin.items import MODE, is_experiment, judges_for_another
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.project import project_folders
from pytest_remex.pytest_plugin.terminal import Terminal
from pytest_remex.transport.connections import Connections

Checkout: TypeAlias = Callable[[pytest.Function, Repo, Remote], AbstractContextManager[Path]]
NOT_ENDED = 10
"""The exit code if nothing failed, but some experiments have not ended."""
STOPPED = "the same command again: stopped before the states were known"
"""What to do next if a run was stopped before it asked about jobs."""
SHOWS_EXAMPLES = PREPARING | {ModeName.COLLECT}
"""The modes in which pytest prints one failure per cause: the others show failures themselves."""


def wait_step(states: Iterable[str]) -> str:
    """Return what to do next if jobs have not ended, by their states; a wait ends at UNKNOWN."""
    known = set(states) - {JobState.UNKNOWN}
    if not known:
        return "the same command again, once the reason of each UNKNOWN is dealt with"
    if known == {JobState.HELD}:
        return "the jobs run once whoever holds them releases them (scontrol release)"
    return "--remex-status --remex-wait waits until all have ended"


def results_step(sweep: str, settings: Settings) -> str:
    """Return what to do next when all outputs of a sweep have been judged."""
    if settings.against is not None:
        return "the compared page has both sides in one table, and their curves in one figure"
    variant = settings.variant
    texts = [f"{sweep!r}"]
    texts += [f"base={variant.base!r}"] if variant.base else []
    texts += [f"remote={variant.remote!r}"] if variant.remote else []
    return f"pytest_remex.results({', '.join(texts)}) in Python gives the table"


class ModeContext(NamedTuple):
    """What every mode has: the pytest session, its settings, its terminal, and connections."""

    session: pytest.Session
    settings: Settings
    terminal: Terminal
    connections: Connections

    @classmethod
    def of(cls, session: pytest.Session) -> ModeContext:
        """Return the context of a session. Raises `pytest.UsageError` for invalid options."""
        terminal = Terminal(session.config)
        connections = Connections(terminal.prompt, terminal.announce)
        return cls(session, options.settings(session.config), terminal, connections)

    @property
    def config(self) -> pytest.Config:
        """The config of the pytest run."""
        return self.session.config

    @property
    def folders(self) -> Folders:
        """The folders that launches use."""
        settings = self.settings
        return Folders(settings.launches, settings.runs, project_folders(self.config).top)

    def exit_with(self, code: int) -> None:
        """Set the exit code, unless something failed: then only that the user interrupted it."""
        is_well = self.session.exitstatus == pytest.ExitCode.OK
        if is_well or code == pytest.ExitCode.INTERRUPTED:
            self.session.exitstatus = code


class Mode(ABC):
    """What is done with experiments."""

    checkout: Checkout
    """Provides an experiment's folder for its fixture, in a mode that calls its function."""

    def __init__(self, context: ModeContext) -> None:
        self.context = context
        self.session = context.session
        self.settings = context.settings
        self.terminal = context.terminal

    @abstractmethod
    def run(self, item: pytest.Function) -> None:
        """Do with an experiment what the mode does, instead of calling its function as a test."""

    def causes(self) -> dict[str, str]:
        """Return the causes of failures that are known, by node id."""
        return {}

    def finish(self) -> None:  # noqa: B027 - some have nothing to finish
        """Finish what is left after the last experiment, while its fixtures still exist."""

    def close(self) -> None:
        """Close everything, whatever happened, after the last fixture."""
        self.context.connections.close()

    @abstractmethod
    def summarize(self) -> None:
        """Say at the terminal what came out, and the next useful command."""


_MODES = {
    ModeName.DRY: ("dry_run", "DryRun"),
    ModeName.PLAN: ("plan", "PlanMode"),
    ModeName.SUBMIT: ("submit", "SubmitMode"),
    ModeName.COLLECT: ("collect", "CollectMode"),
    ModeName.STATUS: ("status", "StatusMode"),
    ModeName.LOG: ("log", "LogMode"),
    ModeName.CANCEL: ("cancel", "CancelMode"),
    ModeName.CLEAN: ("clean", "CleanMode"),
    ModeName.DOCTOR: ("doctor", "DoctorMode"),
    ModeName.BISECT: ("bisect", "BisectMode"),
}
"""The module of each mode, and its class, imported only when needed."""


def start(session: pytest.Session, items: Sequence[pytest.Function]) -> None:
    """Make the mode that the user chose, and register it.

    Raises:
        RemexError: It cannot start.

    """
    context = ModeContext.of(session)
    module, name = _MODES[context.settings.mode]
    if judges_for_another(context.config):
        module, name = "judge_worker", "JudgeWorker"
    make = getattr(import_module(f"pytest_remex.pytest_plugin.{module}"), name)
    mode: Mode = make(context, items)
    examples = None
    if context.settings.mode in SHOWS_EXAMPLES:
        examples = ExamplesOfFailures(mode.causes)
        context.config.pluginmanager.register(examples, "remex-failures")
    context.config.pluginmanager.register(ModeHooks(mode, examples), "remex-mode-hooks")
    context.config.pluginmanager.register(mode, MODE)


class ModeHooks:
    """The plugin that calls a mode.

    Args:
        mode: The mode.
        examples: Lets pytest print one failure per cause; None if the mode itself shows failures.

    """

    def __init__(self, mode: Mode, examples: ExamplesOfFailures | None) -> None:
        self._mode = mode
        self._examples = examples

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Run an experiment instead of a test."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        self._mode.run(pyfuncitem)
        return True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        """Finish before the last fixture is torn down; close after that."""
        try:
            self._mode.finish()
            return (yield)
        finally:
            self._mode.close()

    def pytest_terminal_summary(self) -> None:
        """Write the mode's lines below pytest's summary."""
        if self._examples is not None:
            self._examples.show_all()
        self._mode.summarize()
        self._mode.terminal.summary(f"remex {self._mode.settings.mode}")


def was_stopped(session: pytest.Session) -> bool:
    """Return whether a run ended before its last item, by Ctrl-C or an error about all items."""
    return session.exitstatus == pytest.ExitCode.INTERRUPTED


def stopped_after(done: int, session: pytest.Session) -> str:
    """Return what to do after a run that was stopped; empty if it was not."""
    total = len(session.items)
    text = f"the same command again (stopped after {done} of {total} experiments)"
    return text if was_stopped(session) else ""
