"""What a person sees while a phase is under way, and the lines below pytest's own summary."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import pytest
from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from pytest_remex.errors import RemoteError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pytest_remex.launch.opened import Progress as Teller


class Terminal:
    """The terminal of a pytest run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._notes: dict[str, str] = {}
        self._lines: list[tuple[str, dict[str, bool]]] = []

    def note(self, text: str, about: str | None = None) -> None:
        """Keep a warning for the end; the same one, or the first `about` a thing, is shown once."""
        self._notes.setdefault(about or text, text)

    def say(self, text: str, **look: bool) -> None:
        """Keep a line for the end."""
        self._lines.append((text, look))

    def summary(self, title: str) -> None:
        """Write what was kept."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or not (self._lines or self._notes):
            return
        reporter.write_sep("-", title)
        notes = [(text, {"yellow": True}) for text in self._notes.values()]
        for text, look in [*notes, *self._lines]:
            reporter.write_line(text, **look)

    def announce(self, text: str) -> None:
        """Write a line now."""
        with self.lifted():
            sys.stdout.write(f"\n{text}\n")
            sys.stdout.flush()

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Lift pytest's capture, and begin a line of its own."""
        manager = self._config.pluginmanager.get_plugin("capturemanager")
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        quiet: AbstractContextManager[None] = (
            manager.global_and_fixture_disabled() if manager else nullcontext()
        )
        with quiet:
            if reporter is not None:
                reporter.ensure_newline()
                reporter.currentfspath = None
            yield

    @contextmanager
    def progress(self) -> Iterator[Teller]:
        """Show how far a phase is, where there is a terminal to show it on."""
        if not self._is_interactive():
            yield _silent
            return
        with (
            self.lifted(),
            Progress(
                TextColumn("remex: {task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[detail]}"),
                TimeRemainingColumn(),
                console=Console(file=sys.stdout),
                transient=True,
            ) as shown,
        ):
            tasks: dict[str, TaskID] = {}

            def tell(what: str, done: int, total: int, detail: str = "") -> None:
                if what not in tasks:
                    tasks[what] = shown.add_task(what, total=total, detail=detail)
                shown.update(tasks[what], completed=done, total=total, detail=detail)

            yield tell

    def console(self) -> Console:
        """Give a rich console on the terminal; use it while the capture is lifted."""
        return Console(file=sys.stdout, soft_wrap=not sys.stdout.isatty())

    @contextmanager
    def live(self) -> Iterator[Callable[[RenderableType], None]]:
        """Show something that changes, where there is a terminal to show it on."""
        if not self._is_interactive():
            yield lambda _shown: None
            return
        with self.lifted(), Live(console=self.console(), transient=True) as shown:
            yield lambda board: shown.update(board, refresh=True)

    def _is_interactive(self) -> bool:
        # sys.stdout is pytest's capture here: only its reporter knows where output goes.
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        return reporter is not None and bool(reporter.isatty)

    def prompt(self, text: str, *, echo: bool) -> str:
        """Ask the user at the terminal, past pytest's capture."""
        try:
            with self.lifted(), open("/dev/tty", "r+", encoding="utf-8") as tty:  # noqa: PTH123 - a device
                if not echo:
                    return getpass.getpass(text, stream=tty)
                tty.write(text)
                tty.flush()
                return tty.readline().rstrip("\n")
        except OSError as error:
            raise RemoteError(
                f"the cluster asks {text.strip()!r} and there is no terminal to answer at: "
                f"run pytest in one, or load the key with ssh-add"
            ) from error


def _silent(what: str, done: int, total: int, detail: str = "") -> None:
    """Show nothing: output goes to a file or a pipe."""
