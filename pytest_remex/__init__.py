"""Reproducible grids of experiments on a Slurm cluster: a test with a cluster job in the middle.

`@sweep(...)` makes a function a grid of experiments, for `pytest --remex-plan`, `--remex-submit`,
`--remex-status` and `--remex-collect`. `results`, `curves` and `runs` read what was
collected. Config files are changed by `pytest_remex.config`; scripts and notebooks submit and
collect by `pytest_remex.scripting`; MESA's files are read by `pytest_remex.extensions.mesa`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import RemexError
from pytest_remex.experiment import Experiment, Run
from pytest_remex.model import Remote, Repo
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
"""Names that are imported on first access: pandas takes half a second."""


if not TYPE_CHECKING:  # otherwise a type checker would accept any name

    def __getattr__(name: str) -> object:
        """Import a deferred name from its module."""
        if name in _DEFERRED:
            return getattr(import_module(_DEFERRED[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List all names, including the deferred ones."""
    return sorted({*globals(), *__all__})
