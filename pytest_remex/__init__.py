"""Reproducible grids of experiments on a Slurm cluster: a test with a cluster job in the middle."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import RemexError
from pytest_remex.model import Experiment, Remote, Repo, Run
from pytest_remex.sweep import optional, sweep

if TYPE_CHECKING:
    from pytest_remex.tables.frame import curves, results
    from pytest_remex.tables.runs import runs

__all__ = [
    "Experiment",
    "Job",
    "JobState",
    "RemexError",
    "Remote",
    "Repo",
    "Run",
    "curves",
    "optional",
    "results",
    "runs",
    "sweep",
]

_DEFERRED = {
    "curves": "pytest_remex.tables.frame",
    "results": "pytest_remex.tables.frame",
    "runs": "pytest_remex.tables.runs",
}
"""Names that are loaded when they are first asked for: pandas takes half a second."""


if not TYPE_CHECKING:  # a type checker would take any name for one of the package's

    def __getattr__(name: str) -> object:
        """Load a deferred name from its module."""
        if name in _DEFERRED:
            return getattr(import_module(_DEFERRED[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the deferred names too."""
    return sorted({*globals(), *__all__})
