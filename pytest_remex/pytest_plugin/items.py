"""What pytest's items say of experiments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pytest_remex.errors import SweepError
from pytest_remex.model import Config, Experiment, Remote, Repo, Sweep, Value
from pytest_remex.sweep import plain, sweep_of

Look = Mapping[str, bool]
WORD = pytest.StashKey[tuple[str, Look]]()
"""The outcome's word for an item, with its colours."""

FIXTURE = "experiment"


def is_experiment(item: pytest.Item | None) -> bool:
    """Say whether an item is a sweep's."""
    return isinstance(item, pytest.Function) and sweep_of(item.obj) is not None


def experiments(items: Sequence[pytest.Item]) -> list[pytest.Function]:
    """Give the items that are experiments."""
    return [item for item in items if isinstance(item, pytest.Function) and is_experiment(item)]


def sweep_for(item: pytest.Function) -> Sweep:
    """Give an experiment's sweep."""
    found = sweep_of(item.obj)
    if found is None:
        raise SweepError(f"{item.nodeid} is no experiment: decorate its function with @sweep(...)")
    return found


def point_of(item: pytest.Function) -> Config:
    """Give an experiment's point."""
    point = item.callspec.params[FIXTURE]
    return dict(point) if isinstance(point, Mapping) else {}


def parameters_of(item: pytest.Function) -> Config:
    """Give what stacked `@pytest.mark.parametrize` adds, as far as JSON can hold it."""
    others = {name: value for name, value in item.callspec.params.items() if name != FIXTURE}
    return {name: _recordable(name, value) for name, value in others.items()}


def experiment_of(item: pytest.Function, path: Path) -> Experiment:
    """Give the experiment as its sweep function sees it."""
    plan, point = sweep_for(item), point_of(item)
    return Experiment(plan, item.callspec.id, point, {**plan.base_config, **point}, path)


def places_of(item: pytest.Function) -> tuple[Repo, Remote]:
    """Give what an experiment's fixtures `repo` and `remote` describe."""
    return checked_places(item.funcargs["repo"], item.funcargs["remote"])


def checked_places(repo: object, remote: object) -> tuple[Repo, Remote]:
    """Give what the two fixtures gave. Raises `SweepError` where that is something else."""
    if not isinstance(repo, Repo):
        raise SweepError(f"the fixture repo gives {repo!r}: return Repo('path')")
    if not isinstance(remote, Remote):
        raise SweepError(f"the fixture remote gives {remote!r}: return Remote('host', ...)")
    return repo, remote


def arguments(item: pytest.Function) -> dict[str, object]:
    """Give the fixtures and parameters that the function asks for by name."""
    names = item._fixtureinfo.argnames  # noqa: SLF001 - as pytest's own pytest_pyfunc_call does
    return {name: item.funcargs[name] for name in names}


def say(item: pytest.Item, word: str, **look: bool) -> None:
    """Choose the word that is shown as an item's outcome."""
    item.stash[WORD] = (word, look)


def _recordable(name: str, value: object) -> Value:
    try:
        return json.loads(json.dumps(plain(value, name)))  # type: ignore[no-any-return]
    except SweepError:
        return repr(value)
