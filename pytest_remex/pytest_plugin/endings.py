"""The end of a pytest run: which failures pytest prints and remembers, and what Ctrl-C does.

pytest prints in full only one failure per cause, and none that status shows itself.

It forgets a failure as soon as an item passes, as each experiment does in a plan: the next submit
with `--lf` would then have all experiments, not those that failed. So a failed check stays among
the last failures until a collect judges it again.
"""

from __future__ import annotations

import atexit
import signal
from collections.abc import (
    Callable,
    Container,
    Generator,
    Iterable,
    Iterator,
    MutableMapping,
)
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.command_line import PREPARING, ModeName
from pytest_remex.pytest_plugin.items import has_mode

if TYPE_CHECKING:
    from _pytest._code import TracebackEntry

BY_DEFAULT = "fE"
"""pytest's default of the option -r."""
FAILED_CHECKS = "remex/failed-checks"
"""The key, in pytest's cache, of the node ids of the experiments whose checks failed."""
SUMMARY_WRITTEN = pytest.StashKey[bool]()
"""Set once the mode has written its lines below pytest's summary."""


class PlainEnd:
    """A plugin for pytest's last steps: its folder was removed, or Ctrl-C came during them.

    pytest itself handles Ctrl-C only until the last test has ended. What follows, such as closing
    connections and writing tables, may take seconds.
    """

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Leave out calls that Ctrl-C met at an instruction without a line: pytest fails there."""
        shown = excinfo.traceback.filter(_has_line)
        if shown and len(shown) < len(excinfo.traceback):
            excinfo.traceback = shown

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> Generator[None, object, object]:
        """See pytest."""
        try:
            return (yield)
        except FileNotFoundError as error:
            folder = config.invocation_params.dir
            if folder.is_dir() or not has_mode(config):
                raise
            raise pytest.UsageError(
                f"the folder {folder}, in which pytest was started, was removed meanwhile, so that "
                f"there is no summary: run the same command again in a folder that exists"
            ) from error
        except KeyboardInterrupt:
            if not _is_ours(config):
                raise
            if not config.stash.get(SUMMARY_WRITTEN, False):
                _write_next_step(config)
            return pytest.ExitCode.INTERRUPTED
        finally:
            if _is_ours(config):
                atexit.unregister(_end_at_once)
                atexit.register(_end_at_once)


def _has_line(entry: TracebackEntry) -> bool:
    try:
        return entry.lineno is not None
    except TypeError:
        return False


def _is_ours(config: pytest.Config) -> bool:
    return has_mode(config) or options.mode(config) is not ModeName.DRY


def _write_next_step(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    # the same submit again might add replicates again
    is_sent = options.mode(config) is ModeName.SUBMIT
    status = options.settings(config).following("--remex-status shows what was submitted")
    reporter.ensure_newline()
    reporter.write_line("remex: stopped by Ctrl-C before the summary was complete", yellow=True)
    reporter.write_line(f"next: {status if is_sent else 'the same command again'}")


def _end_at_once() -> None:
    """Let a Ctrl-C end this process without a traceback while Python exits."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class ExamplesOfFailures:
    """Make pytest print only the first failure of each cause in full; all keep their short line.

    Failures that are not in `causes` have the same cause if pytest prints the same about them,
    except for the ids of their points.

    Args:
        causes: Returns the cause of each failure that has one, by node id.

    """

    def __init__(self, causes: Callable[[], dict[str, str]]) -> None:
        self._causes = causes
        self._stats: dict[str, list[Any]] = {}
        self._all: dict[str, list[pytest.TestReport]] = {}
        self._places: list[tuple[pytest.TestReport, tuple[str, int | None, str]]] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None]:
        """Show only the examples to pytest while it prints failures in full, at the beginning."""
        self._stats = stats = terminalreporter.stats
        self._all = {kind: stats[kind] for kind in ("failed", "error") if stats.get(kind)}
        for kind, reports in self._all.items():
            stats[kind] = self._examples(reports)
        try:
            return (yield)
        finally:
            self.show_all()

    def show_all(self) -> None:
        """Show all failures to pytest again; call this before it prints the short lines."""
        self._stats.update(self._all)
        for report, place in self._places:
            report.location = place
        self._places = []

    def _examples(self, reports: Iterable[pytest.TestReport]) -> list[pytest.TestReport]:
        """Return one failure per cause, with the cause or the number of others as its headline."""
        causes = self._causes()
        groups: dict[str, list[pytest.TestReport]] = {}
        for report in reports:
            point = report.nodeid.partition("[")[2].removesuffix("]")
            said = report.longreprtext.replace(point, "")
            groups.setdefault(causes.get(report.nodeid, said), []).append(report)
        for cause, group in groups.items():
            if len(group) > 1:
                first = group[0]
                file, line, name = first.location
                self._places.append((first, first.location))
                title = f"{len(group)} failed: {cause}; for example {name}"
                if first.nodeid not in causes:  # its cause follows the headline
                    title = f"{name} and {len(group) - 1} more, for the same reason"
                first.location = file, line, title
        return [group[0] for group in groups.values()]


@contextmanager
def hidden(config: pytest.Config, nodes: Container[str]) -> Iterator[None]:
    """Hide failures from pytest while it prints them, unless the user asks for them.

    Its last line still counts them.
    """
    reporter, option = config.pluginmanager.get_plugin("terminalreporter"), config.option
    if reporter is None or option.tbstyle != "auto" or option.reportchars != BY_DEFAULT:
        yield
        return
    failed = reporter.stats.get("failed", [])
    shown = [report for report in failed if report.nodeid not in nodes]
    if shown != failed:
        reporter.stats["failed"] = shown
    try:
        yield
    finally:
        if shown != failed:
            reporter.stats["failed"] = failed


class LastFailures:
    """The part of a mode that keeps failed checks among the last failures.

    Args:
        config: The config of the pytest run.
        mode: The mode: one that prepares experiments, or collect.
        items: The session's experiments.

    """

    def __init__(
        self, config: pytest.Config, mode: ModeName, items: Iterable[pytest.Function]
    ) -> None:
        self._cache = config.cache
        memory = config.pluginmanager.get_plugin("lfplugin")
        self._failed: MutableMapping[Any, bool] = getattr(memory, "lastfailed", {})
        self._before = dict(self._failed)
        self._is_preparing = mode in PREPARING
        self._nodes = {item.nodeid for item in items}

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Note which checks failed, or keep those that had failed."""
        noted = self._cache.get(FAILED_CHECKS, None) or []
        if self._is_preparing:
            checks = self._nodes.intersection(noted)
            self._failed.update((node, True) for node in self._before if str(node) in checks)
            return
        failed = self._nodes.intersection(map(str, self._failed))
        self._cache.set(FAILED_CHECKS, sorted({*noted} - self._nodes | failed))


def remember_failed_checks(
    config: pytest.Config, mode: ModeName, items: Iterable[pytest.Function]
) -> None:
    """Keep failed checks among the last failures, if pytest has them and this mode changes them."""
    if mode in {*PREPARING, ModeName.COLLECT} and config.pluginmanager.has_plugin("lfplugin"):
        config.pluginmanager.register(LastFailures(config, mode, items), "remex-last-failures")
