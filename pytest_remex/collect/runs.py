"""Makes the `run` that a sweep function gets back, from what was collected."""

from __future__ import annotations

from pathlib import Path

import pluggy

from pytest_remex.collect.manifest import first_present
from pytest_remex.collect.pipeline import Collected
from pytest_remex.errors import RemoteError
from pytest_remex.model import Experiment, Run


def run_of(collected: Collected, experiment: Experiment, hook: pluggy.HookRelay) -> Run:
    """Give the run, whose config is read back and whose files are read by the hooks."""
    config_file = collected.run.record.launch.config_file
    return Run(
        path=collected.folder,
        config=hook.pytest_remex_config(path=collected.folder, config_file=config_file),
        job=collected.job,
        output=first_present(collected.folder, collected.logs),
        experiment=experiment,
        reader=lambda path: _read(hook, path),
    )


def _read(hook: pluggy.HookRelay, path: Path) -> object:
    found = hook.pytest_remex_read(path=path)
    if found is None:
        raise RemoteError(
            f"no reader knows {path.name}: read run.path / {path.name!r} yourself, or implement "
            f"the hook pytest_remex_read in conftest.py"
        )
    return found
