"""The hooks for scripts and notebooks, which have no pytest to register them with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from pytest_remex import hookspecs
from pytest_remex.tables.readers import BuiltInReaders


class _Hooks(pluggy.PluginManager):
    """Hooks without pytest; as there, a function is one by its name."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:  # noqa: ANN401 - pluggy's
        if not name.startswith("pytest_remex_"):
            return None
        return super().parse_hookimpl_opts(plugin, name) or {}


def hooks_of(plugins: Iterable[object]) -> pluggy.HookRelay:
    """Return the hooks of modules and objects, with the readers of plain files as the last."""
    hooks = _Hooks("pytest")
    hooks.add_hookspecs(hookspecs)
    for plugin in plugins:
        hooks.register(plugin)
    hooks.register(BuiltInReaders(lambda: hooks.hook))
    return hooks.hook
