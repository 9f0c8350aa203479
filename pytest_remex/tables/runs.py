"""A sweep's runs for notebooks: `runs("tams")`, read from the fetched outputs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pluggy

from pytest_remex.collect.judge import make_run
from pytest_remex.collect.pipeline import CollectedRun, WantedRun, collect_offline
from pytest_remex.errors import RemexError
from pytest_remex.experiment import Experiment, Run
from pytest_remex.model import Value
from pytest_remex.records.copies import read_all_copies
from pytest_remex.records.index import RecordedRun, own_config
from pytest_remex.records.merge import merged
from pytest_remex.records.store import read_records
from pytest_remex.tables.frame import results
from pytest_remex.tables.readers import hooks_of


def runs(
    which: str | Path,
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
        which: The sweep's name, searched for as by `results`; or the path of its folder.
        launch: The id of a launch; by default the newest run of each point.
        base: The branch, tag or commit of `--remex-base`; empty for the grid itself.
        remote: The remote, as for `results`.
        plugins: Modules and objects with hooks that read outputs and configs; for MESA
            `[pytest_remex.extensions.mesa.plugin.MesaHooks()]`.
        parameters: Values that parameters have: the other points are left out.

    Raises:
        RemexError: There are no such results, no parameter has such a name, or the launch record
            of a run is not there.

    Example:
        >>> for run in runs("tams", initial_mass=10):  # doctest: +SKIP
        ...     print(run.experiment.point, run.job.elapsed)

    """
    table = results(which, launch=launch, base=base, remote=remote)
    known = table.attrs.get("parameters", [])
    if unknown := [name for name in parameters if name not in known]:
        raise RemexError(
            f"{which} has no parameter {unknown[0]!r}: its parameters are {', '.join(known)}"
        )
    for name, chosen in parameters.items():
        table = table[[value == chosen for value in table[name]]]
    table = table[table["path"].notna()]
    folders = [Path(path) for path in table["path"]]
    if not folders:
        return []
    launches = folders[0].parents[1] / "launches"
    wanted = _recorded(launches, [folder.name for folder in folders])
    hook = hooks_of(plugins)
    return [_run(each, hook) for each in collect_offline(wanted, folders[0].parent)]


def _recorded(launches: Path, directories: Iterable[str]) -> list[WantedRun]:
    recorded = {
        run.directory: RecordedRun(record, run)
        for record in merged([*read_records(launches), *read_all_copies(launches)])
        for run in record.runs.values()
    }
    wanted = []
    for directory in directories:
        if directory not in recorded:
            raise RemexError(
                f"no launch record in {launches} contains {directory}: collect again from the "
                f"folder that the sweep was submitted from"
            )
        wanted.append(WantedRun.as_launched(recorded[directory]))
    return wanted


def _run(each: CollectedRun, hook: pluggy.HookRelay) -> Run:
    config = own_config(each.launch, each.run)
    experiment = Experiment(each.sweep, each.run.id, each.run.point, config, each.folder)
    return make_run(each, experiment, hook)
