"""Reproducible grids of experiments on a Slurm cluster: a test with a cluster job in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_remex.model import Remote, Repo
from pytest_remex.sweep import optional, sweep

if TYPE_CHECKING:
    from pytest_remex.tables.frame import results

__all__ = ["Remote", "Repo", "optional", "results", "sweep"]


def __getattr__(name: str) -> object:
    """Load `results` when it is first asked for: pandas takes half a second."""
    if name == "results":
        from pytest_remex.tables.frame import results  # noqa: PLC0415 - see the docstring

        return results
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
