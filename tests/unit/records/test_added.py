"""Which replicates were added to a grid, and which number comes next."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.errors import SweepError
from pytest_remex.model import Commit, Dimension, Identity, Remote, Sweep
from pytest_remex.records.added import Replicates, points_with_added
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.launch import Launch
from pytest_remex.records.schema import RunRecord, Stage
from pytest_remex.records.store import LaunchRecord
from pytest_remex.sbatch.script import parse_header
from pytest_remex.sweep import expand

HEADER = parse_header("#!/bin/sh\n", "run.sbatch")


def plan_of(replicates=1, name="a"):
    """Return a sweep with two points, each so often."""
    counted = (Dimension(("replicate",), tuple((n,) for n in range(1, replicates + 1))),)
    dimensions = (Dimension((name,), ((1,), (2,))), *(counted if replicates > 1 else ()))
    return Sweep("grid", dimensions, replicates=replicates)


def recorded(point, stage=Stage.RELEASED, *, added=True, sweep="grid", tidied=True, taken=""):
    """Return a run as a launch record has it."""
    launch = Launch("l", "t", sweep, "main", "base", {}, (), (), Remote(None))
    identity = Identity("f", "p", replicate=point.get("replicate", 1) - 1)
    run = RunRecord(
        "n", "i", point, {}, Commit("c", "t", "base"), "d", HEADER, stage,
        identity=identity, added=added, taken=taken,
    )  # fmt: skip
    record = LaunchRecord(launch, {"c": run}, Path("l.jsonl"), ("tip",), tidied)
    return RecordedRun(record, run)


def test_nothing_was_added():
    """The grid stays as it is; the first number to add is above what is stated."""
    for count in (1, 3):
        plan = plan_of(count)
        runs = [recorded(point, added=False) for point in expand(plan)]
        assert list(points_with_added(plan, runs)) == expand(plan)
        assert Replicates(plan, runs).next(expand(plan)[0])["replicate"] == count + 1


@given(st.sets(st.integers(2, 20), max_size=6), st.integers(1, 6))
def test_what_was_added(numbers, stated):
    """What is above the stated number is added to the grid; the next number is above all."""
    plan = plan_of(stated)
    runs = [recorded({"a": 2, "replicate": number}) for number in sorted(numbers)]
    found = Replicates(plan, runs)
    assert [point["replicate"] for point in found.points] == sorted(
        number for number in numbers if number > stated
    )
    assert found.next({"a": 2})["replicate"] == max({stated, *numbers}) + 1
    assert found.next({"a": 1})["replicate"] == stated + 1


@pytest.mark.parametrize(
    "run",
    [
        recorded({"a": 1, "replicate": 2}, taken="another launch"),
        recorded({"a": 1, "replicate": 2}, sweep="other"),
        recorded({"a": 1, "replicate": 2}, added=False),
        recorded({"a": 9, "replicate": 2}),
    ],
    ids=["taken", "of another sweep", "of a larger grid", "of a point that is gone"],
)
def test_what_does_not_count(run):
    """Other runs with a number of a replicate are no points of the grid."""
    assert Replicates(plan_of(), [run]).points == []


@pytest.mark.parametrize("run", [{"stage": Stage.PLACED}, {"tidied": False}])
def test_what_was_begun(run):
    """Nothing is added where the newest replicate is not finished."""
    found = Replicates(plan_of(), [recorded({"a": 1, "replicate": 2}, **run)])
    assert found.points == [{"a": 1, "replicate": 2}]
    assert found.next({"a": 1}) is None
    assert found.next({"a": 2}) == {"a": 2, "replicate": 2}


def test_parameter_of_that_name():
    """A parameter that is called replicate is none of ours."""
    plan = plan_of(name="replicate")
    found = Replicates(plan, [recorded({"replicate": 7})])
    assert found.points == []
    with pytest.raises(SweepError, match="give the parameter another name"):
        found.next({"replicate": 1})
