"""A sweep's runs for notebooks: `runs("tams")`, read from the fetched outputs."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pluggy

from pytest_remex.collect.judge import make_run, read_back_config
from pytest_remex.collect.manifest import read_judged
from pytest_remex.collect.runs import CollectedRun, WantedRun, collect_offline
from pytest_remex.config.settings import Place, full_name, leaves
from pytest_remex.errors import RemexError
from pytest_remex.experiment import Experiment, Run
from pytest_remex.model import Config, Value
from pytest_remex.names import LAST_COLUMNS
from pytest_remex.records.copies import read_all
from pytest_remex.records.index import RecordedRun, own_config
from pytest_remex.tables.readers import hooks_of
from pytest_remex.tables.rows import plain
from pytest_remex.tables.stored import CONFIG, all_sweeps, find_tables, read_tables
from pytest_remex.tables.table import Table
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
    variant = Variant(base=base, remote=remote)
    sweeps = all_sweeps(variant) if which is None else [which]
    hook = hooks_of(plugins)
    names: set[str] = set()
    found: list[Run] = []
    for sweep in sweeps:
        paths = find_tables(sweep, variant, launch)
        table = read_tables(paths, remote)
        if table is None:
            raise RemexError(f"{paths[0]} has no results.json beside it: collect again")
        folders = _folders(table)
        recorded = _recorded(folders)
        names.update(table.names("point"), *(_config(each) for each in recorded))
        chosen = [each for each in recorded if _has(_config(each), parameters)]
        found += _read(chosen, folders, hook)
    if unknown := [name for name in parameters if name not in names]:
        known = ", ".join(sorted(names))
        what = "no config has" if which is None else f"{which} has no parameter"
        raise RemexError(f"{what} {unknown[0]!r}: there are {known}")
    return found


def with_config(table: Table, wanted: Sequence[str] | None, plugins: Iterable[object]) -> Table:
    """Return a table with settings that were read back from the runs' config files, as columns.

    Args:
        table: The results, with absolute paths of outputs.
        wanted: The names of settings; None for all but the parameters of the points.
        plugins: Modules and objects with hooks that read configs.

    Raises:
        RemexError: No run has a config that a hook reads, or none has a name.

    """
    folders = list(dict.fromkeys(_folders(table)))
    configs = _configs(folders, hooks_of(plugins))
    if not configs:
        raise RemexError(
            "no config was read back from the outputs: name config_file=... in the sweep and "
            "collect, or pass plugins=[...] with a hook that reads it"
        )
    settings: Mapping[str, Mapping[str, object]]
    settings = _all_settings(configs) if wanted is None else _named_settings(configs, wanted)
    found = dict.fromkeys(name for each in settings.values() for name in each)
    parameters = table.names("point") if wanted is None else []
    titles = {
        name: f"{CONFIG}.{name}" if name in table.roles else name
        for name in found
        if name not in parameters
    }
    rows = []
    for row in table.rows:
        its = settings.get(str(row["path"]), {})
        rows.append({**row, **{title: plain(its.get(name)) for name, title in titles.items()}})
    first = {name: role for name, role in table.roles.items() if name not in LAST_COLUMNS}
    roles = {**first, **dict.fromkeys(titles.values(), CONFIG), **table.roles}
    return Table(table.dimensions, roles, rows)


def _configs(folders: Sequence[Path], hook: pluggy.HookRelay) -> dict[str, Config]:
    """Return the config of each folder of outputs that has one, by the folder's path."""
    found = {}
    for folder, recorded in zip(folders, _recorded(folders), strict=True):
        config = read_back_config(folder, _as_judged(recorded, folder).sweep, hook)
        if config is not None:
            found[str(folder)] = config
    return found


def _named_settings(
    configs: Mapping[str, Config], names: Sequence[str]
) -> dict[str, dict[str, Value]]:
    """Return the settings of these names in each config."""
    names = [names] if isinstance(names, str) else names
    found = {
        path: {name: config[name] for name in names if name in config}
        for path, config in configs.items()
    }
    for name in names:
        if not any(name in each for each in found.values()):
            raise RemexError(f"no config that was read back has {name!r}: see run.config")
    return found


def _all_settings(configs: Mapping[str, Config]) -> Mapping[str, Mapping[str, object]]:
    """Return all settings in each config; the name has the section if several have such a one."""
    found = {path: _by_place(config) for path, config in configs.items()}
    places = {place for each in found.values() for place in each}
    count = Counter(place[-1] for place in places)
    titles = {
        place: str(place[-1]) if count[place[-1]] == 1 else full_name(place) for place in places
    }
    return {
        path: {titles[place]: value for place, value in each.items()}
        for path, each in found.items()
    }


def _by_place(config: Config) -> dict[Place, object]:
    """Return the single values of a config; of several files the first that has one counts."""
    found: dict[Place, object] = {}
    for one in config.maps if isinstance(config, ChainMap) else [config]:
        for place, value in leaves(one):
            found.setdefault(place, value)
    return found


def _folders(table: Table) -> list[Path]:
    """Return the folders of the outputs that are on this machine."""
    return [Path(str(row["path"])) for row in table.rows if row["path"] is not None]


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
        for record in read_all(launches)
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
    folder = folders[0].parent
    wanted = [_as_judged(each, folder / each.run.directory) for each in chosen]
    return [_run(each, hook) for each in collect_offline(wanted, folder)]


def _as_judged(recorded: RecordedRun, folder: Path) -> WantedRun:
    """Return a run with the config files that the sweep named when it was collected."""
    wanted = WantedRun.as_launched(recorded)
    files = read_judged(folder).config_files
    return wanted._replace(sweep=replace(wanted.sweep, config_files=files)) if files else wanted


def _run(each: CollectedRun, hook: pluggy.HookRelay) -> Run:
    config = own_config(each.launch, each.run)
    experiment = Experiment(each.sweep, each.run.id, each.run.point, config, each.folder)
    return make_run(each, experiment, hook)
