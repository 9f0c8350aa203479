"""MESA's part in pytest-remex: hooks that forward, and load what they need when they are called."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from pytest_remex.extensions.mesa.controls import KnownControls
    from pytest_remex.model import Config, Experiment, Run, Scalar


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini key `remex_mesa_dir`."""
    parser.addini("remex_mesa_dir", "MESA's folder, for the names of its controls [$MESA_DIR]")


def pytest_configure(config: pytest.Config) -> None:
    """Register the hooks, where pytest-remex itself is on."""
    if config.pluginmanager.has_plugin("remex"):
        config.pluginmanager.register(MesaHooks(config), "remex_mesa_hooks")


class MesaHooks:
    """What MESA adds to a session."""

    def __init__(self, config: pytest.Config) -> None:
        self._folder = str(config.getini("remex_mesa_dir") or os.environ.get("MESA_DIR", ""))

    @cached_property
    def _controls(self) -> KnownControls | None:
        from pytest_remex.extensions.mesa.controls import load_controls  # noqa: PLC0415 - start-up

        return load_controls(Path(self._folder).expanduser()) if self._folder else None
