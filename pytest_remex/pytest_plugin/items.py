"""The items of experiments: what pytest knows of them, their fixtures, and their outcomes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, NoReturn, Protocol

import pytest

from pytest_remex.errors import SweepError
from pytest_remex.interaction import clean
from pytest_remex.model import Config, Experiment, Remote, Repo, Sweep, Value
from pytest_remex.pytest_plugin import options
from pytest_remex.sweep import plain, sweep_of

Markup = Mapping[str, bool]
"""Colours and the like, as pytest's terminal writer takes them."""


class Word(NamedTuple):
    """What is shown as an item's outcome, and what it is counted as in pytest's last line."""

    text: str
    markup: Markup
    counted: str = ""


_NUMPY = re.compile(r"\b(?:np|numpy)\.\w+\((-?[\w.+-]+)\)")
WORD = pytest.StashKey[Word]()
"""The outcome's word for an item."""

FIXTURE = "experiment"


def is_experiment(item: pytest.Item | None) -> bool:
    """Return whether an item is a sweep's."""
    return isinstance(item, pytest.Function) and sweep_of(item.obj) is not None


def experiments(items: Sequence[pytest.Item]) -> list[pytest.Function]:
    """Return the items that are experiments."""
    return [item for item in items if isinstance(item, pytest.Function) and is_experiment(item)]


def sweep_for(item: pytest.Function) -> Sweep:
    """Return an experiment's sweep. Raises `SweepError` for another item."""
    plan = sweep_of(item.obj)
    if plan is None:
        raise SweepError(
            f"{item.nodeid} is not an experiment: decorate its function with @sweep(...)"
        )
    return plan


def point_of(item: pytest.Function) -> Config:
    """Return an experiment's point."""
    point = item.callspec.params[FIXTURE]
    return dict(point) if isinstance(point, Mapping) else {}


def parameters_of(item: pytest.Function) -> Config:
    """Return what stacked `@pytest.mark.parametrize` adds, as far as JSON can hold it."""
    others = {name: value for name, value in item.callspec.params.items() if name != FIXTURE}
    return {name: _recordable(name, value) for name, value in others.items()}


def experiment_of(item: pytest.Function, path: Path, recipe: int = 0) -> Experiment:
    """Return the experiment as its sweep function sees it, with the checkout or outputs `path`."""
    plan, point = sweep_for(item), point_of(item)
    config = {**plan.base_config, **point}
    return Experiment(plan, item.callspec.id, point, config, path, recipe=plan.recipe(recipe))


def use_recipe(item: pytest.Function, path: Path, recipe: int) -> None:
    """Have the sweep function, called next, see another of its recipes."""
    item.funcargs[FIXTURE] = experiment_of(item, path, recipe)


def sbatch_options_of(item: pytest.Function) -> dict[str, str]:
    """Return the options that the sweep function set with `experiment.sbatch(...)`."""
    given = item.funcargs[FIXTURE]
    return given.sbatch_options if isinstance(given, Experiment) else {}


def places_of(item: pytest.Function) -> tuple[Repo, Remote]:
    """Return what an experiment's fixtures `repo` and `remote` describe."""
    return checked_places(item.funcargs["repo"], item.funcargs["remote"])


def checked_places(repo: object, remote: object) -> tuple[Repo, Remote]:
    """Return what the two fixtures returned. Raises `SweepError` where that is something else."""
    if not isinstance(repo, Repo):
        raise SweepError(f"the fixture repo gives {repo!r}: return Repo('path')")
    if not isinstance(remote, Remote):
        raise SweepError(f"the fixture remote gives {remote!r}: return Remote('host', ...)")
    return repo, remote


def arguments(item: pytest.Function) -> dict[str, object]:
    """Return the fixtures and parameters that the function asks for by name."""
    names = item._fixtureinfo.argnames  # noqa: SLF001 - as pytest's own pytest_pyfunc_call does
    return {name: item.funcargs[name] for name in names}


def say(item: pytest.Item, word: str, *, counted: str = "", **markup: bool) -> None:
    """Choose the word that is shown as an item's outcome, and what it is counted as."""
    item.stash[WORD] = Word(clean(word), markup, counted)


def set_word(report: pytest.TestReport, word: Word) -> None:
    """Choose the word that is shown for a report."""
    vars(report)["remex_word"] = word._replace(text=clean(word.text))


def word_of(report: pytest.CollectReport | pytest.TestReport) -> Word | None:
    """Return the word that was chosen for a report, if one was."""
    word: Word | None = getattr(report, "remex_word", None)
    return word


def fail(why: str) -> NoReturn:
    """Fail the item by a message alone."""
    # This frame is not hidden: pytest remarks on it where all are.
    raise pytest.fail.Exception(clean(why), pytrace=False) from None


def skip(why: str) -> NoReturn:
    """Skip the item; the sweep's place is shown, not this one."""
    raise pytest.skip.Exception(clean(why), _use_item_location=True)


def reason_of(report: pytest.TestReport) -> str:
    """Return the first line of why a test failed or was skipped; nothing where it passed."""
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    shown = str(crash.message if crash else report.longrepr).removeprefix("Failed: ")
    return _first_line(shown)


def shorten_reason(report: pytest.TestReport) -> None:
    """Leave a line of why a test failed for pytest's summary, with `np.float64(0.03)` as `0.03`."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        # Where CI is set pytest's summary writes all lines, of each failure.
        crash.message = _first_line(crash.message)


def _first_line(text: str) -> str:
    return _NUMPY.sub(r"\1", text.partition("\n")[0])


def _recordable(name: str, value: object) -> Value:
    try:
        return json.loads(json.dumps(plain(value, name)))  # type: ignore[no-any-return]
    except SweepError:
        return repr(value)


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
