"""The pytest items of experiments: their sweeps, points and parameters, and their variants."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from pytest_remex.errors import SweepError
from pytest_remex.experiment import Experiment, as_written, config_at
from pytest_remex.model import Config, Remote, Sweep, Value
from pytest_remex.names import function_of
from pytest_remex.pytest_plugin.project import NODE, node_of
from pytest_remex.sweep import sweep_of, upstream_at
from pytest_remex.sweep_arguments import plain
from pytest_remex.variant import GRID, Variant

FIXTURE = "experiment"
VARIANT = pytest.StashKey[Variant]()
"""The variant of the grid that an item's experiment is of; the grid itself without one."""
PROCESSES = pytest.StashKey[int]()
"""How many processes -n of pytest-xdist asks for."""
MODE = "remex-mode"
"""The name of the plugin that is the mode of a pytest run; only one with experiments has it."""
PARAMETERS = "remex-parameters"
"""The name of the plugin that notes the parameters of sweep functions."""
WORKERS = "remex-workers"
"""The name of the plugin that has other processes judge."""
WORKER_INPUT = "remex_collect"
"""The key of a collect's data in the input of a pytest-xdist process."""


def is_experiment(item: pytest.Item | None) -> bool:
    """Return whether an item is an experiment of a sweep."""
    return isinstance(item, pytest.Function) and sweep_of(item.obj) is not None


def judges_for_another(config: pytest.Config) -> bool:
    """Return whether this process judges runs for the one that started it."""
    return WORKER_INPUT in getattr(config, "workerinput", {})


def has_mode(config: pytest.Config) -> bool:
    """Return whether a pytest run has experiments, and so a mode."""
    return config.pluginmanager.has_plugin(MODE)


def experiments(items: Sequence[pytest.Item]) -> list[pytest.Function]:
    """Return the items that are experiments."""
    return [item for item in items if isinstance(item, pytest.Function) and is_experiment(item)]


def share_locations(items: Iterable[pytest.Function]) -> None:
    """Store each item's location, as pytest does when it reports one.

    It would look for the file for each of them; all points of a sweep are in one file and line.
    """
    places: dict[object, tuple[str, int | None]] = {}
    for item in items:
        key = item.parent, item.function
        file, line = places[key] = places.get(key) or item.location[:2]
        vars(item)["location"] = file, line, item.getmodpath()


def sweep_for(item: pytest.Function) -> Sweep:
    """Return an experiment's sweep."""
    return cast("Sweep", sweep_of(item.obj))


def variant_of(item: pytest.Item) -> Variant:
    """Return the variant of the grid that an experiment is of."""
    return item.stash.get(VARIANT, GRID)


def point_of(item: pytest.Function) -> Config:
    """Return an experiment's point: the grid's own object, which is not to be changed."""
    point = item.callspec.params[FIXTURE]
    return point if isinstance(point, dict) else {}


def parameters_of(item: pytest.Function) -> Config:
    """Return the parameters that stacked `@pytest.mark.parametrize` adds, converted for JSON."""
    others = {name: value for name, value in item.callspec.params.items() if name != FIXTURE}
    return {name: _recordable(name, value) for name, value in others.items()}


def experiment_of(item: pytest.Function, path: Path, recipe: int = 0) -> Experiment:
    """Return the experiment for its sweep function; `path` is its checkout or outputs folder."""
    sweep, point = sweep_for(item), dict(point_of(item))
    config, before = config_at(sweep, point), upstream_at(sweep, point)
    return Experiment(
        sweep,
        item.callspec.id,
        point,
        config,
        path,
        recipe=sweep.recipe(recipe),
        comes_after=before,
    )


def patched_experiment(item: pytest.Function, path: Path, recipe: int) -> Experiment:
    """Return the experiment as its sweep function was given it, with what the function set in it.

    It is kept with all others of the grid, so its point is not a copy.
    """
    used, made = experiment_in(item), experiment_of(item, path, recipe)
    before = (used.comes_after if used else None) or made.comes_after
    options = used.sbatch_options if used else {}
    return replace(made, point=point_of(item), sbatch_options=options, comes_after=before)


def use_recipe(item: pytest.Function, path: Path, recipe: int) -> None:
    """Make the next call of the sweep function use another recipe."""
    item.funcargs[FIXTURE] = as_written(experiment_of(item, path, recipe))


def experiment_in(item: pytest.Function) -> Experiment | None:
    """Return the experiment that the sweep function was given."""
    given = item.funcargs[FIXTURE]
    return given if isinstance(given, Experiment) else None


def _recordable(name: str, value: object) -> Value:
    if isinstance(value, Remote):
        return value.runs if value.host is None else value.place
    try:
        return json.loads(json.dumps(plain(value, name)))  # type: ignore[no-any-return]
    except SweepError:
        return repr(value)


def put_variants(session: pytest.Session, asked: Variant, against: Variant | None) -> None:
    """Put each experiment of a session once for each variant of the grid that is asked for.

    Args:
        session: The session, with its experiments in order.
        asked: The variant of the items that are there.
        against: Another variant, of which items are added before those.

    """
    here = experiments(session.items)
    for item in here:
        item.stash[VARIANT] = asked
    if against is not None:
        rest = [item for item in session.items if not is_experiment(item)]
        session.items[:] = [*rest, *(in_variant(item, against) for item in here), *here]


def like(item: pytest.Function, new: pytest.Function) -> pytest.Function:
    """Return a new item as one of the variant of the grid that another item is of."""
    if NODE in item.stash:
        return in_variant(new, variant_of(item))
    new.stash[VARIANT] = variant_of(item)
    return new


def base_option(item: pytest.Item) -> str:
    """Return the option that names an experiment's base."""
    return "--remex-against" if NODE in item.stash else "--remex-base"


class _OfVariant(pytest.Function):
    """An item for an experiment of another variant, which its node id names."""

    @property
    def nodeid(self) -> str:
        """The experiment's node id, and the variant's title."""
        return f"{super().nodeid} {variant_of(self).title}"

    @property
    def id(self) -> Any:  # noqa: ANN401 - only newer releases of pytest have it
        """The same in the form that reports are made of."""
        return type(super().id).parse(self.nodeid)


def in_variant(item: pytest.Function, variant: Variant) -> pytest.Function:
    """Return another item for an experiment."""
    kind: Any = type("Function", (_OfVariant, type(item)), {})
    made: pytest.Function = kind.from_parent(
        item.parent,
        name=item.name,
        callspec=item.callspec,
        callobj=item.obj,
        fixtureinfo=item._fixtureinfo,  # noqa: SLF001 - as pytest makes its items
        originalname=item.originalname,
    )
    made.own_markers[:] = item.own_markers
    made.stash[NODE] = item.nodeid
    made.stash[VARIANT] = variant
    return made


class FunctionParameters:
    """A plugin that notes sweep functions: their sweeps, and the parameters beside each point.

    Pytest makes the items of all values first, also of those that are deselected or not asked for.
    """

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Config]] = {}
        self.sweeps: dict[str, str] = {}
        """The name of each function's sweep."""

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self) -> Generator[None, object, object]:
        """Note those of one function."""
        made = yield
        items = experiments(made) if isinstance(made, list) else []
        if items:
            function = function_of(node_of(items[0]))
            self.known.setdefault(function, {})
            self.sweeps[function] = sweep_for(items[0]).name
        for item in items:
            if parameters := parameters_of(item):
                node = node_of(item)
                self.known.setdefault(function_of(node), {})[node] = parameters
        return made
