"""The public API as a type checker sees it: mypy reads this file; it is never run."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import assert_type

import pandas as pd

import pytest_remex
from pytest_remex import (
    Experiment,
    Job,
    JobState,
    RemexError,
    Remote,
    Repo,
    Run,
    curves,
    optional,
    results,
    runs,
    sweep,
)
from pytest_remex.extensions.mesa import patch_inlist, read_history, read_inlist
from pytest_remex.model import Config, Value


@sweep({"initial_mass": [10, 15], ("alpha", "y"): [(1.8, 0.27)]}, base_config={"z": 0.02})
def tams(experiment: Experiment) -> Iterator[None]:
    """Keep its own type under the decorator, whose grid may mix numbers and tuples."""
    assert_type(experiment.path, Path)
    assert_type(experiment.config, Config)
    assert_type(experiment.point, Config)
    assert_type(experiment.id, str)
    yield


@sweep(
    {},
    branch="main",
    fetch=["LOGS/history.data", optional("LOGS/*.png")],
    config_file="inlist",
    link_name="{output}",
)
def with_fixtures(experiment: Experiment, tmp_path: Path) -> None:
    """Take other fixtures than `experiment`."""
    assert_type(tmp_path / experiment.id, Path)


GENERATOR: Callable[[Experiment], Iterator[None]] = tams
FUNCTION: Callable[[Experiment, Path], None] = with_fixtures
tams("initial_mass")  # type: ignore[arg-type]
sweep({"mass": 10})  # type: ignore[dict-item]  # a dimension takes values, not one value
sweep({"mass": [10]}, fetch=1)  # type: ignore[arg-type]


def after_the_job(run: Run) -> dict[str, Value]:
    """Read a run."""
    assert_type(run.path, Path)
    assert_type(run.config, Config | None)
    assert_type(run.log, str)
    assert_type(run.job, Job)
    assert_type(run.job.state, JobState)
    run.record(age=1.5, kind="star")
    run.record({"L1 error": 0.01})
    run.curve("radius", [1.0, 2.0], [0.5, 0.7], x_label="age", x_reversed=True)
    history = read_history(run.path / "LOGS" / "history.data")
    assert_type(history, pd.DataFrame)
    return {"age": float(history["star_age"].iloc[-1])}


def the_session(path: Path) -> Remote:
    """Say where things are, as a conftest.py does."""
    repo = Repo(path)
    assert_type(repo.path, Path)
    Repo(str(path))
    Remote()  # type: ignore[call-arg]
    Remote("cluster", via="carrier pigeon")  # type: ignore[arg-type]
    remote = Remote("cluster", "~/code", "~/runs", via="connection", shared=["data"])
    assert_type(remote.host, str | None)
    assert_type(remote.shell, str)
    remote.host = "other"  # type: ignore[misc]  # it is frozen
    return remote


def the_table() -> pd.DataFrame:
    """Read the results, by the name of the sweep or by a path."""
    assert_type(results("tams"), pd.DataFrame)
    assert_type(results(Path("results.csv"), grid=True, everything=True), pd.DataFrame)
    results("tams", gird=True)  # type: ignore[call-arg]
    return pytest_remex.results("tams", launch="2026-01-31T12-00-00")


def inlists(path: Path) -> None:
    """Patch and read an inlist."""
    patch_inlist(path, {"initial_mass": 10.0, "x_ctrl(1)": [1, 2]})
    read_inlist(path)


def failed() -> str:
    """Catch the base class of all errors."""
    try:
        pytest_remex.results("tams")
    except RemexError as error:
        return str(error)
    pytest_remex.resutls  # type: ignore[attr-defined]  # noqa: B018 - a name that is not there
    return ""


assert_type(curves("tams"), pd.DataFrame)
assert_type(runs("tams"), list[Run])
assert_type(runs("tams", initial_mass=10), list[Run])
