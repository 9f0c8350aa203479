"""Terminal output: progress during a phase, and the lines below pytest's own summary."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from textwrap import TextWrapper
from typing import TYPE_CHECKING

import pytest
from _pytest.pathlib import bestrelpath

from pytest_remex.display import Progress, ask_at_terminal, clean
from pytest_remex.model import Remote
from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.endings import SUMMARY_WRITTEN
from pytest_remex.pytest_plugin.item_outcomes import Markup
from pytest_remex.pytest_plugin.items import experiments, has_mode
from pytest_remex.pytest_plugin.project import project_folders

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.console import Console, RenderableType
    from rich.progress import Progress as ProgressBars
    from rich.progress import TaskID


PATHS = 2
"""The most sweeps whose reports are named one by one; of more, the index is named."""
AT_A_TERMINAL, IN_A_LOG = 10.0, 60.0
"""Seconds between two lines on the progress of something."""


class ProgressLines:
    """Lines on how far something is and how long the rest will take; none if it is over soon.

    Args:
        write: Writes a line.
        pause: Seconds from the beginning of a phase to its first line, and between its lines.

    """

    def __init__(self, write: Callable[[str], None], pause: float) -> None:
        self._write = write
        self._pause = pause
        self._phase = ""
        self._begun = self._next = 0.0
        self._from = 0

    def tell(self, phase: str, done: int, total: int, detail: str = "") -> None:
        """Take note of a phase's progress, and write a line if one is due."""
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._from = phase, done
            self._begun, self._next = now, now + self._pause
        if now < self._next:
            return
        self._next = now + self._pause
        parts = [f"{phase} {done} of {total}", *([detail] if detail else [])]
        if done > self._from:
            seconds = (now - self._begun) / (done - self._from) * (total - done)
            parts.append(f"{timedelta(seconds=round(seconds))} left")
        self._write(", ".join(parts))


class Terminal:
    """The terminal of a pytest run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._settings = options.settings(config)
        self._notes: dict[str, str] = {}
        self._lines: list[tuple[str, Markup]] = []
        self._targets: dict[Remote, None] = {}
        project = project_folders(config)
        if project.moved_to is not None:
            self.note(
                f"using {project.output}, made by an earlier release; a new project would use "
                f"{project.moved_to}"
            )

    def note(self, text: str, about: str | None = None) -> None:
        """Store a warning for the end; equal ones, or those `about` the same, are shown once."""
        self._notes.setdefault(about or text, text)

    def target(self, remote: Remote) -> None:
        """Store where experiments run, for the summary."""
        self._targets[remote] = None

    def say(self, text: str, **markup: bool) -> None:
        """Store a line for the end."""
        self._lines.append((text, markup))

    def say_next(self, command: str, label: str = "next") -> None:
        """Store what to do next, with the options that ask for this variant of the grid."""
        self.say(f"{label}: {self._settings.following(command)}")

    def summary(self, title: str) -> None:
        """Write the stored lines and warnings."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or not (self._lines or self._notes):
            return
        where = " and ".join(dict.fromkeys(remote.place for remote in self._targets))
        asked = self._settings.asked
        named = f"{title}, {asked}" if asked else title
        reporter.write_sep("-", f"{named} on {where}" if where else named)
        notes: list[tuple[str, Markup]] = [
            (text, {"yellow": True}) for text in self._notes.values()
        ]
        for text, markup in [*notes, *self._lines]:
            for line in self._by_words(clean(text)):
                reporter.write_line(line, **markup)
        self._config.stash[SUMMARY_WRITTEN] = True

    def _by_words(self, text: str) -> list[str]:
        """Return lines that break between words; on no terminal each stays one, for grep."""
        if not self._is_interactive():
            return [text]
        wrapper = TextWrapper(self.console().width, break_long_words=False, break_on_hyphens=False)
        return [part for line in text.splitlines() for part in wrapper.wrap(line) or [""]]

    def announce(self, text: str) -> None:
        """Write a line now."""
        with self.lifted():
            sys.stdout.write(f"\n{clean(text)}\n")
            sys.stdout.flush()

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Suspend pytest's capture, and start a new line."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        with self._uncaptured():
            if reporter is not None:
                reporter.ensure_newline()
                reporter.currentfspath = None
            yield

    def _uncaptured(self) -> AbstractContextManager[None]:
        manager = self._config.pluginmanager.get_plugin("capturemanager")
        return manager.global_and_fixture_disabled() if manager else nullcontext()

    @contextmanager
    def _between_letters(self) -> Iterator[None]:
        """Lift pytest's capture, and begin the line of the items' letters again after that."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        path = reporter.currentfspath if reporter is not None else None
        with self.lifted():
            yield
            if reporter is not None and isinstance(path, Path):
                reporter.write(f"{bestrelpath(reporter.startpath, path)} ", flush=True)
                reporter.currentfspath = path

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """Show the progress of a phase: bars on a terminal, elsewhere a line a minute."""
        if not self._is_interactive():
            yield ProgressLines(self.log, IN_A_LOG).tell
            return
        with ExitStack() as stack:
            tasks: dict[str, TaskID] = {}

            def start() -> ProgressBars:
                stack.enter_context(self._between_letters())
                return stack.enter_context(_bars())

            bars = cache(start)  # not before there is something to show: a login may ask first

            def show(phase: str, done: int, total: int, detail: str = "") -> None:
                if phase not in tasks:
                    tasks[phase] = bars().add_task(phase, total=total, detail=detail)
                bars().update(tasks[phase], completed=done, total=total, detail=detail)

            yield show

    def progress_of_items(self) -> Progress:
        """Return what writes lines between those of the items, every few seconds."""
        pause = AT_A_TERMINAL if self._is_interactive() else IN_A_LOG
        return ProgressLines(self._write_between, pause).tell

    def _write_between(self, text: str) -> None:
        with self._between_letters():
            sys.stdout.write(f"{datetime.now().astimezone():%H:%M:%S} remex: {text}\n")
            sys.stdout.flush()

    def console(self) -> Console:
        """Return a rich console on the terminal; use it while the capture is suspended."""
        from rich.console import Console  # noqa: PLC0415 - not before something is drawn

        return Console(file=sys.stdout, soft_wrap=not sys.stdout.isatty())

    def height(self, around: int) -> int:
        """Return how many rows fit on the terminal, in addition to `around` other lines."""
        return max(5, self.console().height - around)

    def log(self, text: str) -> None:
        """Write a line now, if a changing display cannot be shown."""
        if not self._is_interactive():
            self.announce(f"{datetime.now().astimezone():%H:%M:%S} {text}")

    def alert(self, text: str) -> None:
        """Alert the user at the terminal: ring its bell, and set its title."""
        if self._is_interactive():
            with self._uncaptured():
                console = self.console()
                console.bell()
                console.set_window_title(f"remex: {text}")

    @contextmanager
    def live(self) -> Iterator[Callable[[RenderableType], None]]:
        """Show a changing display, if there is a terminal."""
        if not self._is_interactive():
            yield lambda _shown: None
            return
        from rich.live import Live  # noqa: PLC0415 - as above

        with self._between_letters(), Live(console=self.console(), transient=True) as shown:
            yield lambda table: shown.update(table, refresh=True)

    def prompt(self, text: str, *, echo: bool) -> str:
        """Ask the user at the terminal, bypassing pytest's capture."""
        with self._between_letters():
            return ask_at_terminal(clean(text), echo=echo)

    def _is_interactive(self) -> bool:
        # sys.stdout is pytest's capture here; only its reporter knows the real output
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        return reporter is not None and bool(reporter.isatty)


class ItemsProgress:
    """A plugin that says how many of a large grid are done, and the time left.

    `doing` is what is done with them, such as "judging".
    """

    def __init__(self, session: pytest.Session, doing: str) -> None:
        self._session = session
        self._doing = doing
        self._done = 0
        self._tell = Terminal(session.config).progress_of_items()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> None:
        """Say so before an item, if it is time; the first one connects, so it does not count."""
        if self._done:
            self._tell(self._doing, self._done, len(self._session.items))
        self._done += 1


def _bars() -> ProgressBars:
    from rich import progress  # noqa: PLC0415 - as above
    from rich.console import Console  # noqa: PLC0415 - as above

    return progress.Progress(
        progress.TextColumn("remex: {task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[detail]}"),
        progress.TimeRemainingColumn(),
        console=Console(file=sys.stdout),
        transient=True,
    )


class NothingBegun:
    """A plugin that says what to do if the mode did not begin.

    A Ctrl-C came before, or there was no sweep.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._came = False

    @pytest.hookimpl
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note a Ctrl-C: errors in collection come by this hook too."""
        self._came = type(excinfo.value) is KeyboardInterrupt

    @pytest.hookimpl
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: int
    ) -> None:
        """Say it, as the mode's own plugin is not there to do so."""
        if has_mode(self._config):
            return
        terminal, mode = Terminal(self._config), options.mode(self._config)
        if self._came:
            terminal.say_next("the same command again: stopped before anything was asked or sent")
        elif deselected := experiments(terminalreporter.stats.get("deselected", ())):
            terminal.say_next(self._none_selected(len(deselected)))
        elif exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            where = ", ".join(self._config.args)
            terminal.say_next(
                f"name the file with the sweeps, such as pytest sweeps.py --remex-{mode}, or set "
                f"remex_sweeps: there are none in {where}"
            )
        terminal.summary(f"remex {mode}")

    def _none_selected(self, number: int) -> str:
        options = {"-k": "keyword", "-m": "markexpr", "--deselect": "deselect"}
        given = [name for name, key in options.items() if self._config.getoption(key)]
        if given:
            it, which = ("it", given[0]) if len(given) == 1 else ("they", " and ".join(given))
            return f"correct {which}, or leave it out: {it} selected none of {number}"
        return (
            f"leave out the option of another plugin, such as --testmon, that selected none of "
            f"{number}: -p no:NAME turns a plugin off"
        )
