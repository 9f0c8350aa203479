"""What `--lf` selects: a failed check stays in pytest's memory until a collect judges it again.

pytest forgets a failure as soon as an item passes, as each experiment does in a plan. The next
submit with `--lf` would then have all experiments, not those that failed.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

import pytest

from pytest_remex.pytest_plugin.command_line import Mode

FAILED_CHECKS = "remex/failed-checks"
"""The key, in pytest's cache, of the node ids of the experiments whose checks failed."""
PREPARING = frozenset({Mode.DRY, Mode.PLAN, Mode.SUBMIT})
"""The modes in which an experiment that passes was not judged."""


class LastFailures:
    """The part of a mode that keeps failed checks among the last failures.

    Args:
        config: The config of the pytest run.
        mode: The mode: one that prepares experiments, or collect.
        items: The session's experiments.

    """

    def __init__(self, config: pytest.Config, mode: Mode, items: Iterable[pytest.Function]) -> None:
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
    config: pytest.Config, mode: Mode, items: Iterable[pytest.Function]
) -> None:
    """Keep failed checks among the last failures, if pytest has them and this mode changes them."""
    if mode in {*PREPARING, Mode.COLLECT} and config.pluginmanager.has_plugin("lfplugin"):
        config.pluginmanager.register(LastFailures(config, mode, items), "remex-last-failures")
