"""The pytest items of experiments: their points and fixtures."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_remex.common.grouping import grouped
from pytest_remex.errors import SweepError
from pytest_remex.experiment import Experiment, config_at
from pytest_remex.model import Config, Remote, Repo, Sweep, Value
from pytest_remex.names import function_of
from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.anchor import NODE, node_of
from pytest_remex.pytest_plugin.item_outcomes import fail
from pytest_remex.pytest_plugin.remotes import remotes_of
from pytest_remex.sweep import plain, sweep_of, upstream_at
from pytest_remex.variant import GRID, Variant

if TYPE_CHECKING:
    from pytest_remex.pytest_plugin.mode import Mode

FIXTURE = "experiment"
VARIANT = pytest.StashKey[Variant]()
"""The variant of the grid that an item's experiment is of; the grid itself without one."""
PLACES = ("repo", "remote")
"""The fixtures that say where experiments come from and where they run."""


def is_experiment(item: pytest.Item | None) -> bool:
    """Return whether an item is an experiment of a sweep."""
    return isinstance(item, pytest.Function) and sweep_of(item.obj) is not None


def judges_for_another(config: pytest.Config) -> bool:
    """Return whether this process judges runs for the one that started it."""
    return WORKER_INPUT in getattr(config, "workerinput", {})


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
    """Return an experiment's sweep. Raises `SweepError` for another item."""
    sweep = sweep_of(item.obj)
    if sweep is None:
        raise SweepError(
            f"{item.nodeid} is not an experiment: decorate its function with @sweep(...)"
        )
    return sweep


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
    sweep, point, used = sweep_for(item), point_of(item), experiment_in(item)
    return Experiment(
        sweep,
        item.callspec.id,
        point,
        config_at(sweep, point),
        path,
        sbatch_options=used.sbatch_options if used else {},
        recipe=sweep.recipe(recipe),
        comes_after=(used.comes_after if used else None) or upstream_at(sweep, point),
    )


def use_recipe(item: pytest.Function, path: Path, recipe: int) -> None:
    """Make the next call of the sweep function use another recipe."""
    item.funcargs[FIXTURE] = experiment_of(item, path, recipe)


def experiment_in(item: pytest.Function) -> Experiment | None:
    """Return the experiment that the sweep function was given."""
    given = item.funcargs[FIXTURE]
    return given if isinstance(given, Experiment) else None


def places_of(item: pytest.Function) -> tuple[Repo, Remote]:
    """Return the values of an experiment's fixtures `repo` and `remote`."""
    return checked_places(item.funcargs["repo"], item.funcargs["remote"])


def by_place(items: Iterable[pytest.Function]) -> dict[object, list[pytest.Function]]:
    """Return the experiments for which the two fixtures return the same: see `place_key`."""
    return grouped((place_key(item), item) for item in items)


def place_key(item: pytest.Function) -> object:
    """Return what decides what an experiment's two fixtures return: folders may override them."""
    definitions = item._fixtureinfo.name2fixturedefs  # noqa: SLF001 - as in `arguments`
    others = [(name, at) for name, at in item.callspec.indices.items() if name != FIXTURE]
    return (*(id(definitions[name][-1]) for name in PLACES), *sorted(others))


def is_pinned(item: pytest.Function) -> bool:
    """Return whether a run on another remote is not an experiment's own.

    So it is if the fixture `remote` has parameters: each makes experiments of its own.
    """
    others = item.callspec.params.keys() - {FIXTURE}
    if not others:
        return False
    definitions = item._fixtureinfo.name2fixturedefs  # noqa: SLF001 - as in `arguments`
    asked = ["remote"]
    for name in asked:
        for one in definitions.get(name, ()):
            asked += [each for each in one.argnames if each not in asked]
    return bool(others & {*asked})


def refuse_test_cases(items: Iterable[pytest.Function]) -> None:
    """Refuse a sweep in a `unittest.TestCase`, whose methods get no fixtures.

    Raises:
        SweepError: There is one; the message says where.

    """
    for item in items:
        if "remote" not in item._fixtureinfo.name2fixturedefs:  # noqa: SLF001 - as in `arguments`
            name = getattr(item.cls, "__name__", "")
            raise SweepError(
                f"{item.nodeid}: the methods of a unittest.TestCase get no fixtures: let the class "
                f"{name} inherit from object, or write the sweep as a function"
            )


def refuse_own_remote(items: Iterable[pytest.Function]) -> None:
    """Refuse a fixture `remote` of the user if the command line also chooses a remote.

    Raises:
        SweepError: There is one; the message says where.

    """
    for item in items:
        function = item._fixtureinfo.name2fixturedefs["remote"][-1].func  # noqa: SLF001 - as above
        if (name := variant_of(item).remote) and function.__module__ != __name__:
            raise SweepError(
                f"--remex-remote={name}, and the fixture remote in {function.__code__.co_filename} "
                f"says where {item.nodeid} runs: leave the option out, or remove the fixture"
            )


def checked_places(repo: object, remote: object) -> tuple[Repo, Remote]:
    """Return the values of the two fixtures. Raises `SweepError` if one has a wrong type."""
    if not isinstance(repo, Repo):
        raise SweepError(f"the fixture repo returns {repo!r}: return Repo('path')")
    if not isinstance(remote, Remote):
        raise SweepError(f"the fixture remote returns {remote!r}: return Remote('host', ...)")
    return repo, remote


def arguments(item: pytest.Function) -> dict[str, object]:
    """Return the fixtures and parameters that the function asks for by name."""
    names = item._fixtureinfo.argnames  # noqa: SLF001 - as pytest's own pytest_pyfunc_call does
    return {name: item.funcargs[name] for name in names}


STOPPED = "the same command again: stopped before the states were known"
"""What to do next if a run was stopped before it asked about jobs."""


def was_stopped(session: pytest.Session) -> bool:
    """Return whether a run ended before its last item, by Ctrl-C or an error about all items."""
    return session.exitstatus == pytest.ExitCode.INTERRUPTED


def stopped_after(done: int, session: pytest.Session) -> str:
    """Return what to do after a run that was stopped; empty if it was not."""
    total = len(session.items)
    text = f"the same command again (stopped after {done} of {total} experiments)"
    return text if was_stopped(session) else ""


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
    """A plugin that notes the parameters of sweep functions beside the point, by node id.

    Pytest makes the items of all values first, also of those that are deselected or not asked for.
    """

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Config]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self) -> Generator[None, object, object]:
        """Note those of one function."""
        made = yield
        items = experiments(made) if isinstance(made, list) else []
        if items:
            self.known.setdefault(function_of(node_of(items[0])), {})
        for item in items:
            if parameters := parameters_of(item):
                node = node_of(item)
                self.known.setdefault(function_of(node), {})[node] = parameters
        return made


MODE: pytest.StashKey[Mode] = pytest.StashKey()
"""The mode of a pytest run that has experiments."""
PROCESSES = pytest.StashKey[int]()
"""How many processes -n of pytest-xdist asks for."""
PARAMETERS = "remex-parameters"
"""The name of the plugin that notes the parameters of sweep functions."""
WORKERS = "remex-workers"
"""The name of the plugin that has other processes judge."""
WORKER_INPUT = "remex_collect"
"""The key of a collect's data in the input of a pytest-xdist process."""
ITEM = pytest.StashKey[pytest.Item]()
"""The item whose fixtures are being set up."""


def fixtures_of(config: pytest.Config) -> ModuleType:
    """Return the plugin that provides the fixtures to a pytest run.

    None of them asks for `request` or `pytestconfig`: pytest would make a new `request` for each
    test, which takes a second for 10,000 experiments.
    """

    @pytest.fixture(scope="session")
    def repo() -> Repo:
        """Describe the user's repository; override it in conftest.py to use another."""
        return options.default_repo(config)

    @pytest.fixture(scope="session")
    def remote() -> Remote:
        """Describe where jobs run; override it in conftest.py to use a cluster."""
        try:
            return options.default_remote(config)
        except pytest.UsageError as error:
            pytest.fail(str(error), pytrace=False)

    @pytest.fixture(scope="session")
    def remotes() -> Mapping[str, Remote]:
        """Describe the remotes that the configuration names, by name, for a fixture `remote`."""
        try:
            return remotes_of(config)
        except SweepError as error:
            fail(str(error))

    @pytest.fixture
    def experiment(repo: Repo, remote: Remote) -> Iterator[Experiment]:
        """One point of a sweep's grid, with a scratch checkout of its base commit."""
        item = _experiment(config.stash[ITEM], repo, remote)
        with config.stash[MODE].checkout(item, repo, remote) as path:
            yield experiment_of(item, path)

    # pytest finds fixtures in modules and classes, but not session fixtures in an instance
    plugin = ModuleType("remex-fixtures")
    vars(plugin).update(repo=repo, remote=remote, remotes=remotes, experiment=experiment)
    return plugin


def _experiment(item: pytest.Item, repo: object, remote: object) -> pytest.Function:
    if not isinstance(item, pytest.Function) or not is_experiment(item):
        fail(
            f"{item.nodeid} uses the fixture experiment but is not a sweep: "
            f"decorate it with @sweep(...)"
        )
    try:
        checked_places(repo, remote)
    except SweepError as error:
        fail(str(error))
    return item
