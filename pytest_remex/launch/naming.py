"""How an experiment is called today, where its run was recorded under other names."""

from __future__ import annotations

from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import Event, Renamed, RunRecord, Shared
from pytest_remex.repo.workspace import Prepared


def named_today(recorded: RecordedRun, prepared: Prepared) -> tuple[RunRecord, list[Event]]:
    """Return a run under an experiment's names, and what its record does not say of that yet.

    Args:
        recorded: The run.
        prepared: The experiment, which has this run: maybe of another sweep, or of another variant
            of the grid.

    """
    run, events = recorded.run, list[Event]()
    if not recorded.is_of(prepared.variant):
        events.append(Shared(run.commit.sha, prepared.variant))
    if not _is_named(run, prepared):
        names = _names(prepared, recorded)
        if not any(_is_named(alias, prepared) for alias in run.aliases):
            events.append(names)
        run = names.apply(run)
    return run, events


def _is_named(run: RunRecord | Renamed, prepared: Prepared) -> bool:
    return (run.node, dict(run.point)) == (prepared.node, dict(prepared.experiment.point))


def _names(prepared: Prepared, recorded: RecordedRun) -> Renamed:
    """Return the event that sets a run's names to the experiment's current ones."""
    sweep, launched = prepared.experiment.sweep.name, recorded.launch.name
    return Renamed(
        commit=recorded.run.commit.sha,
        node=prepared.node,
        id=prepared.experiment.id,
        point=prepared.experiment.point,
        parameters=prepared.parameters,
        sweep=sweep if sweep != launched else "",
    )
