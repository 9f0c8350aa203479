"""The fixtures `repo`, `remote` and `experiment`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Protocol

import pytest

from pytest_remex.errors import SweepError
from pytest_remex.model import Experiment, Remote, Repo
from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.items import checked_places, experiment_of, fail, is_experiment


class CheckoutMode(Protocol):
    """The plugin of a mode, as the fixture `experiment` knows it."""

    def checkout(
        self, item: pytest.Function, repo: Repo, remote: Remote
    ) -> AbstractContextManager[Path]:
        """Have the experiment use a folder: a checkout of its base commit, where it has one."""


MODE = pytest.StashKey[CheckoutMode]()
ITEM = pytest.StashKey[pytest.Item]()
"""The item whose fixtures are set up."""


def fixtures_of(config: pytest.Config) -> ModuleType:
    """Return the plugin that provides the fixtures to a pytest run.

    None of them asks for `request` or `pytestconfig`: pytest makes `request` anew wherever a test's
    fixtures ask for it, which for 10,000 experiments takes a second.
    """

    @pytest.fixture(scope="session")
    def repo() -> Repo:
        """Describe the user's repository; override it in conftest.py to name another."""
        return options.default_repo(config)

    @pytest.fixture(scope="session")
    def remote() -> Remote:
        """Describe where runs happen; override it in conftest.py to name a cluster."""
        try:
            return options.default_remote(config)
        except pytest.UsageError as error:
            pytest.fail(str(error), pytrace=False)

    @pytest.fixture
    def experiment(repo: Repo, remote: Remote) -> Iterator[Experiment]:
        """One point of a sweep's grid, with a scratch checkout of its base commit."""
        item = _experiment(config.stash[ITEM], repo, remote)
        with config.stash[MODE].checkout(item, repo, remote) as path:
            yield experiment_of(item, path)

    # pytest finds fixtures in modules and classes; in an instance it finds none of a session.
    plugin = ModuleType("remex-fixtures")
    vars(plugin).update(repo=repo, remote=remote, experiment=experiment)
    return plugin


def _experiment(item: pytest.Item, repo: object, remote: object) -> pytest.Function:
    if not isinstance(item, pytest.Function) or not is_experiment(item):
        fail(
            f"{item.nodeid} asks for the fixture experiment and is not a sweep: "
            f"decorate it with @sweep(...)"
        )
    try:
        checked_places(repo, remote)
    except SweepError as error:
        fail(str(error))
    return item
