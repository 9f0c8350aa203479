"""A sweep's runs for notebooks: `runs("tams")`, read from the fetched outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pluggy

from pytest_remex.collect.judge import make_run
from pytest_remex.collect.pipeline import CollectedRun, WantedRun, collect_offline
from pytest_remex.errors import RemexError
from pytest_remex.experiment import Experiment, Run
from pytest_remex.model import Config, Value
from pytest_remex.records.copies import read_all_copies
from pytest_remex.records.index import RecordedRun, own_config
from pytest_remex.records.merge import merged
from pytest_remex.records.store import read_records
from pytest_remex.tables.frame import all_sweeps, results
from pytest_remex.tables.readers import hooks_of
from pytest_remex.variant import Variant


def runs(
    which: str | Path | None = None,
    *,
    launch: str | None = None,
    base: str = "",
    remote: str = "",
    plugins: Iterable[object] = (),
    **parameters: Value,
) -> list[Run]:
    """Return the runs of a sweep whose outputs are on this machine, the newest of each point.

    Each is the object that the sweep function gets from `yield`: `run.config`, `run.job`,
    `run.read("result.csv")`; the point is `run.experiment.point`.

    Args:
        which: The sweep's name, searched for as by `results`; or the path of its folder. Without
            it, the runs of all sweeps with results are searched.
        launch: The id of a launch; by default the newest run of each point.
        base: The branch, tag or commit of `--remex-base`; empty for the grid itself.
        remote: The remote, as for `results`.
        plugins: Modules and objects with hooks that read outputs and configs; for MESA
            `[pytest_remex.extensions.mesa.plugin.MesaHooks()]`.
        parameters: Values in the config that a run was asked to have: the others are left out.

    Raises:
        RemexError: There are no such results, no config has such a name, or the launch record of a
            run is not there.

    Example:
        >>> for run in runs("tams", initial_mass=10):  # doctest: +SKIP
        ...     print(run.experiment.point, run.job.elapsed)

    """
    sweeps = all_sweeps(Variant(base=base, remote=remote)) if which is None else [which]
    hook = hooks_of(plugins)
    names: set[str] = set()
    found: list[Run] = []
    for sweep in sweeps:
        table = results(sweep, launch=launch, base=base, remote=remote)
        folders = [Path(path) for path in table["path"].dropna()]
        recorded = _recorded(folders)
        names.update(table.attrs.get("parameters", []), *(_config(each) for each in recorded))
        chosen = [each for each in recorded if _has(_config(each), parameters)]
        found += _read(chosen, folders, hook)
    if unknown := [name for name in parameters if name not in names]:
        known = ", ".join(sorted(names))
        what = "no config has" if which is None else f"{which} has no parameter"
        raise RemexError(f"{what} {unknown[0]!r}: there are {known}")
    return found


def _config(recorded: RecordedRun) -> Config:
    return {**recorded.launch.base_config, **recorded.run.point}


def _has(config: Config, parameters: Config) -> bool:
    return all(name in config and config[name] == value for name, value in parameters.items())


def _recorded(folders: Sequence[Path]) -> list[RecordedRun]:
    if not folders:
        return []
    launches = folders[0].parents[1] / "launches"
    recorded = {
        run.directory: RecordedRun(record, run)
        for record in merged([*read_records(launches), *read_all_copies(launches)])
        for run in record.runs.values()
    }
    for folder in folders:
        if folder.name not in recorded:
            raise RemexError(
                f"no launch record in {launches} contains {folder.name}: collect again from the "
                f"folder that the sweep was submitted from"
            )
    return [recorded[folder.name] for folder in folders]


def _read(
    chosen: Sequence[RecordedRun], folders: Sequence[Path], hook: pluggy.HookRelay
) -> list[Run]:
    if not chosen:
        return []
    wanted = [WantedRun.as_launched(each) for each in chosen]
    return [_run(each, hook) for each in collect_offline(wanted, folders[0].parent)]


def _run(each: CollectedRun, hook: pluggy.HookRelay) -> Run:
    config = own_config(each.launch, each.run)
    experiment = Experiment(each.sweep, each.run.id, each.run.point, config, each.folder)
    return make_run(each, experiment, hook)
