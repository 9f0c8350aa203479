"""The fixtures of experiments: what they return, and which of them the user overrides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, cast

import pytest

from pytest_remex.common.grouping import grouped
from pytest_remex.errors import SweepError
from pytest_remex.experiment import Experiment, as_written
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.item_outcomes import fail
from pytest_remex.pytest_plugin.items import (
    FIXTURE,
    MODE,
    experiment_of,
    is_experiment,
    variant_of,
)
from pytest_remex.pytest_plugin.remotes import remotes_of

if TYPE_CHECKING:
    from pytest_remex.pytest_plugin.mode import Mode

PLACES = ("repo", "remote")
"""The fixtures that say where experiments come from and where they run."""
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
        mode = cast("Mode", config.pluginmanager.get_plugin(MODE))
        with mode.checkout(item, repo, remote) as path:
            yield as_written(experiment_of(item, path))

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
