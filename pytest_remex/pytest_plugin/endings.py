"""The end of a pytest run: what pytest would report in a traceback, in plain words."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.command_line import Mode
from pytest_remex.pytest_plugin.items import MODE

if TYPE_CHECKING:
    from _pytest._code import TracebackEntry

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
            if MODE not in config.stash or folder.is_dir():
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
    return MODE in config.stash or options.mode(config) is not Mode.DRY


def _write_next_step(config: pytest.Config) -> None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    # the same submit again might add replicates again
    is_sent = options.mode(config) is Mode.SUBMIT
    command = "--remex-status shows what was submitted" if is_sent else "the same command again"
    reporter.ensure_newline()
    reporter.write_line("remex: stopped by Ctrl-C before the summary was complete", yellow=True)
    reporter.write_line(f"next: {command}")


def _end_at_once() -> None:
    """Let a Ctrl-C end this process without a traceback while Python exits."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
