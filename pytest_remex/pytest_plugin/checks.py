"""What plan, dry run and submit check of each patched checkout before anything is sent."""

from __future__ import annotations

import pytest

from pytest_remex.launch.preparation import check_config
from pytest_remex.model import Experiment
from pytest_remex.pytest_plugin.terminal import Terminal
from pytest_remex.tables.readers import BuiltInReaders


class ConfigChecks:
    """Compares configs by the hooks of a pytest run, and notes what could not be compared."""

    def __init__(self, config: pytest.Config, terminal: Terminal) -> None:
        self._hook = config.hook
        self._terminal = terminal
        config.pluginmanager.register(BuiltInReaders(lambda: config.hook), "remex-readers")

    def check(self, experiment: Experiment) -> None:
        """Check an experiment whose `path` is the patched checkout. Raises `SweepError`."""
        for remark in check_config(experiment, self._hook):
            self._terminal.note(remark)
