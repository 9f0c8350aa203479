"""The hooks: what an extension, or a user's conftest.py, can add.

The MESA extension uses these and nothing else. Each runs on this machine; none on the cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from pytest_remex.model import Config, Experiment, Run, Scalar

hookspec = pluggy.HookspecMarker("pytest")


hookspec = pluggy.HookspecMarker("pytest")
"""As pytest's own: the engines call these hooks without pytest too."""


@hookspec(firstresult=True)
def pytest_remex_read(path: Path) -> object | None:
    """Read an output for `run.read(name)`; None leaves it to the next reader."""


@hookspec(firstresult=True)
def pytest_remex_config(path: Path, config_file: str | None) -> Config | None:
    """Read back the config that ran, from the outputs in the folder `path`.

    `config_file` is the sweep's, relative to `path`. The names must be those that a sweep's config
    uses; what is not in the config is ignored. None leaves it to the next hook.
    """


@hookspec
def pytest_remex_inspect(
    experiment: Experiment, originals: Mapping[str, bytes]
) -> Sequence[str] | None:
    """Look at a patched checkout before anything is sent; give warnings, one sentence each.

    `originals` holds what the files that the patch touched were in the base, by path.
    """


@hookspec(firstresult=True)
def pytest_remex_continue(run: Run) -> Sequence[str] | None:
    """Continue a run that hit its time limit: the command, as words, to run in its run directory.

    The command takes the place of the last run's by the environment variable that it is given in
    run.sbatch; None starts the experiment afresh in a new run directory.
    """


@hookspec
def pytest_remex_measures(run: Run) -> Mapping[str, Scalar] | None:
    """Add columns to the results for a run whose outputs are here; the sweep's own win."""


@hookspec(firstresult=True)
def pytest_remex_link_name(row: Mapping[str, Scalar], output: str) -> str | None:
    """Name the link to an output, from its row of the results; made safe afterwards."""


@hookspec
def pytest_remex_figures(results: pd.DataFrame, folder: Path) -> Sequence[object] | None:
    """Add Plotly figures to the report; column `path` of `results` is relative to `folder`."""


@hookspec
def pytest_remex_submitted(launch: str, jobs: Mapping[str, str]) -> None:
    """Told when a batch has been submitted: the launch, and job ids by node id."""


@hookspec
def pytest_remex_collected(results: pd.DataFrame, folder: Path) -> None:
    """Told when a sweep's results, links and report have been written into `folder`."""
