"""The hooks of the MESA extension; each loads the module that does the work when it is called."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_remex.hookspecs import Continuation
from pytest_remex.known_files import KnownFiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from pytest_remex.experiment import Experiment, Run
    from pytest_remex.extensions.mesa.known_controls import KnownControls
    from pytest_remex.hookspecs import ContinueProbe, RunFile
    from pytest_remex.model import Config, Scalar


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini key `remex_mesa_dir`."""
    parser.addini("remex_mesa_dir", "MESA's folder, for the names of its controls [$MESA_DIR]")


def pytest_configure(config: pytest.Config) -> None:
    """Register the hooks if pytest-remex itself is on."""
    if hasattr(config.hook, "pytest_remex_read"):
        config.pluginmanager.register(MesaHooks(config), "remex_mesa_hooks")


class MesaHooks:
    """The extension's hooks; without a `config`, as in scripts, $MESA_DIR is MESA's folder."""

    def __init__(self, config: pytest.Config | None = None) -> None:
        self._inspected: set[str] = set()
        self._files = KnownFiles()
        self._cache: pytest.Cache | None = getattr(config, "cache", None)
        named = config.getini("remex_mesa_dir") if config is not None else ""
        self._folder = str(named or os.environ.get("MESA_DIR", ""))

    @pytest.hookimpl(trylast=True)
    def pytest_remex_read(self, path: Path, options: Mapping[str, Any]) -> object | None:
        """Read histories, profiles, profiles.index, inlists; tables take the option `columns`."""
        from pytest_remex.errors import RemexError  # noqa: PLC0415 - start-up
        from pytest_remex.extensions.mesa.outputs import read_output  # noqa: PLC0415 - start-up

        found = read_output(path, options.get("columns"))
        unknown = ", ".join(sorted(options.keys() - {"columns"}))
        if found is not None and unknown:
            raise RemexError(
                f"{path.name} can be read with the option columns only: leave out {unknown}"
            )
        return found

    @pytest.hookimpl(trylast=True)
    def pytest_remex_config(
        self, path: Path, config_file: str | Sequence[str] | None
    ) -> Config | None:
        """Return the effective config, combined from all inlists that MESA reads."""
        from pytest_remex.extensions.mesa.roots import config_of  # noqa: PLC0415 - start-up

        return config_of(path, config_file, self._files.now())

    def pytest_remex_inspect(
        self, experiment: Experiment, originals: Mapping[str, bytes]
    ) -> Sequence[str] | None:
        """Warn of settings that MESA will not read, that are overridden, or that MESA lacks.

        For a sweep's first experiment, also warn if runs could not continue from their photos, or
        if MESA's output is not fetched.
        """
        from pytest_remex.extensions.mesa.roots import is_work_directory  # noqa: PLC0415 - start-up

        files = self._files.now()
        if not is_work_directory(experiment, originals, files):
            return None
        from pytest_remex.errors import NamelistError  # noqa: PLC0415 - start-up
        from pytest_remex.extensions.mesa.inspection import inspect  # noqa: PLC0415 - start-up

        warnings = self._of_sweep(experiment)
        try:
            return [*warnings, *inspect(experiment, self._controls, originals, files)] or None
        except NamelistError as error:
            return [*warnings, str(error), *inspect(experiment, None, originals, files)]

    @pytest.hookimpl(trylast=True)
    def pytest_remex_measures(self, run: Run) -> Mapping[str, Scalar] | None:
        """Add why the evolution ended, its first and last model, and the last photo.

        Those from large logs are kept in pytest's cache for as long as the files do not change.
        """
        from pytest_remex.extensions.mesa import job_log, runs  # noqa: PLC0415 - start-up

        logs = job_log.log_files_of(run)
        if self._cache is None or not runs.are_large(logs):
            return runs.measures(logs, run.path) or None
        place, key = runs.measures_keys(logs, run.path)
        found = runs.as_scalars(self._cache.get(f"remex/mesa/{place}", None), key)
        if found is None:
            found = dict(runs.measures(logs, run.path))
            self._cache.set(f"remex/mesa/{place}", {"key": key, "found": found})
        return found or None

    def pytest_remex_uniform(self) -> Sequence[str]:
        """Name the version of MESA, so that a table with several versions is noticed."""
        return ["mesa_version"]

    @pytest.hookimpl(trylast=True)
    def pytest_remex_continue_probe(self, experiment: Experiment) -> ContinueProbe | None:
        """Request the list of photos, and of models that stages end with, of a MESA run."""
        from pytest_remex.extensions.mesa.restarts import probe_of  # noqa: PLC0415 - start-up

        return probe_of(experiment)

    @pytest.hookimpl(trylast=True)
    def pytest_remex_continue(
        self, run: Run, files: Sequence[RunFile] | None, memo: object
    ) -> Continuation | None:
        """Continue from the newest complete photo: `./re x150`."""
        from pytest_remex.extensions.mesa.restarts import restart_of  # noqa: PLC0415 - start-up

        how = restart_of(run, files, memo)
        return None if how is None else Continuation(how.command, how.reason)

    def pytest_remex_figures(self, results: pd.DataFrame, folder: Path) -> Sequence[object]:
        """Add a Hertzsprung-Russell diagram: the runs' tracks, as curves."""
        from pytest_remex.extensions.mesa.outputs import hr_tracks  # noqa: PLC0415 - start-up

        return hr_tracks(results, folder)

    def _of_sweep(self, experiment: Experiment) -> list[str]:
        """Return, once for each sweep, what all of its runs will lack."""
        if experiment.sweep.name in self._inspected:
            return []
        from pytest_remex.extensions.mesa import job_log, restarts  # noqa: PLC0415 - start-up

        self._inspected.add(experiment.sweep.name)
        work = restarts.WorkDirectory.read(experiment)
        if work is None:
            return []
        why = restarts.obstacle(work)
        stuck = f"a run that is ended early would start over: {why}" if why else ""
        unread = job_log.unfetched_log(work.running, experiment.sweep.fetch)
        return [each for each in (stuck, unread) if each]

    @cached_property
    def _controls(self) -> KnownControls | None:
        from pytest_remex.extensions.mesa.known_controls import load_controls  # noqa: PLC0415 - start-up

        return load_controls(Path(self._folder).expanduser()) if self._folder else None
