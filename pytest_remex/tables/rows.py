"""The rows of the results, and where a collect publishes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pytest_remex.names import CHANGED, label
from pytest_remex.variant import GRID, Variant

if TYPE_CHECKING:
    from pytest_remex.collect.judge import JudgedRun
    from pytest_remex.collect.runs import CollectedRun
    from pytest_remex.model import Config, Scalar

LAUNCHES = "launches"
INDEX, ZIP = "index.html", "report.zip"
"""The page of all sweeps in the output folder; the zip of a sweep's report and outputs."""
Parameters: TypeAlias = Mapping[str, Mapping[str, Mapping[str, object]]]
"""For each sweep function, such as `sweeps.py::grid`: parameters beside the point, by node id."""


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What to publish, and where.

    `output` is the output folder; `launch` is the launch to show, None for each experiment's
    newest; `layout` is the layout of the links, `links` or `flat`; `portable` asks for a zip with
    the report and the outputs that it links to; `added` are the replicates beside the grids, by the
    sweep's name and variant; `parameters` are those of sweep functions beside the point.
    """

    output: Path
    launch: str | None = None
    layout: str = "links"
    portable: bool = False
    added: Mapping[tuple[str, Variant], Sequence[Config]] = field(default_factory=dict)
    parameters: Parameters = field(default_factory=dict)


def results_folder(output: Path, sweep: str, launch: str | None, variant: Variant = GRID) -> Path:
    """Return the folder of a sweep's results, or of one launch's, in an output folder."""
    folder = output / label(sweep) / variant.folder
    return folder if launch is None else folder / LAUNCHES / launch


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One experiment's row of the results.

    `point` and `measures` become separate columns. `elapsed` (in seconds) and `core_hours` are None
    if unknown. `path` is the folder of the outputs on this machine, None if there are none, and
    `outputs` are their names in it.
    """

    node: str
    id: str
    point: Mapping[str, object]
    launch: str
    state: str
    verdict: str
    measures: Mapping[str, object]
    reason: str = ""
    elapsed: float | None = None
    core_hours: float | None = None
    job: str = ""
    commit: str = ""
    base: str = ""
    run_directory: str = ""
    path: Path | None = None
    outputs: Sequence[str] = ()
    note: str = ""


def row_of(judged: JudgedRun) -> Row:
    """Return an experiment's row of the results."""
    collected, job, run = judged.collected, judged.collected.job, judged.collected.run
    verdict = judged.verdict or str(job.state)
    return Row(
        node=judged.node,
        id=run.id,
        point={**run.point, **judged.parameters},
        launch=collected.launch.id,
        state=str(job.state),
        verdict=f"{verdict}, {CHANGED}" if judged.note.changed else verdict,
        measures=measures_of(judged),
        reason=judged.reason,
        elapsed=job.elapsed,
        core_hours=None if job.elapsed is None else job.elapsed * (job.cores or 1) / 3600,
        job=job.id,
        commit=run.commit.sha,
        base=run.commit.base,
        run_directory=run.directory,
        path=collected.folder if collected.outputs.files else None,
        outputs=_outputs(collected),
        note=collected.launch.note,
    )


def measures_of(judged: JudgedRun) -> dict[str, Scalar]:
    """Return the recorded measures, and the number of the recipe if the sweep has recipes."""
    recipe: dict[str, Scalar] = {"recipe": judged.collected.run.recipe}
    return {**(recipe if judged.sweep.recipes else {}), **judged.measures, **judged.before}


def _outputs(collected: CollectedRun) -> list[str]:
    """Return the outputs' names, without config files that were fetched only to be read back."""
    sweep = collected.sweep
    unwanted = {*sweep.config_files} - {*sweep.fetch}
    return sorted(name for name in collected.outputs.files if name not in unwanted)
