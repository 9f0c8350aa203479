"""Measures are compared with those of the same experiment on another base."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.collect.compare import compare
from pytest_remex.errors import SweepError
from pytest_remex.model import Tolerance
from pytest_remex.sweep_arguments import tolerances_of

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60)


def failure(here, there, tolerance=None):
    """Return the message for one measure that differs too much."""
    tolerances = tolerances_of(tolerance)
    return compare([{"age": here}], [{"age": there}], tolerances, "on v1.2").failure


@pytest.mark.parametrize(
    ("here", "there", "tolerance", "text"),
    [
        (1.02e7, 1.00e7, 1e-6, "age 1.02e7, on v1.2 1.00e7 (+2.0 %, allowed 1e-6)"),
        (1.02e7, 1.00e7, {"age": {"rel": 0.02}}, ""),
        (1.02e7, 1.00e7, {"age": {"rel": 1e-6, "abs": 3e5}}, ""),
        (1.5, 1.0, {"age": {"abs": 0.1}}, "age 1.50, on v1.2 1.00 (+0.5, allowed ±0.1)"),
        (
            1.0,
            1.0 + 1e-8,
            None,
            "age 1.00000000, on v1.2 1.00000001 (-1e-8 relative, allowed 1e-9)",
        ),
        (1.0, 1.0 + 1e-10, None, ""),
        (5, 4, None, "age 5, on v1.2 4 (+25.0 %, must be equal)"),
        (5, 4, 0.5, "age 5, on v1.2 4 (+25.0 %, must be equal)"),
        (5, 4, {"age": 0.5}, ""),
        (5, 5.0, None, ""),
        (1e-20, 0.0, None, "age 1.00e-20, on v1.2 0.00 (+1e-20, allowed 1e-9)"),
        ("a", "b", None, "age 'a', on v1.2 'b' (must be equal)"),
        (True, False, 1.0, "age True, on v1.2 False (must be equal)"),
        (True, 1, None, "age True, on v1.2 1 (must be equal)"),
        (math.nan, math.nan, None, ""),
        (math.inf, math.inf, None, ""),
        (math.nan, 1.0, 1.0, "age nan, on v1.2 1.0 (must be equal)"),
        (1.0, math.nan, 1.0, "age 1.0, on v1.2 nan (must be equal)"),
        (1.0, math.inf, 1.0, "age 1.0, on v1.2 inf (must be equal)"),
        (100.0, 1.0, None, "age 100, on v1.2 1.00 (+99 times as much, allowed 1e-9)"),
    ],
)
def test_one_measure(here, there, tolerance, text):
    """It fails beyond what the sweep allows; by default numbers that are whole must be equal."""
    assert failure(here, there, tolerance) == text


@given(NUMBERS, NUMBERS, st.floats(0, 1), st.floats(0, 1e9))
def test_bounds(here, there, rel, most):
    """Either bound is enough, and a failure shows both values."""
    found = failure(here, there, {"age": {"rel": rel, "abs": most}})
    is_within = abs(float(here) - float(there)) <= max(rel * abs(float(there)), most)
    assert (found == "") == (is_within or here == there)
    if found:
        one, other = found.removeprefix("age ").split(" (")[0].split(", on v1.2 ")
        assert one != other


def test_measures_of_one_side():
    """Measures that one side lacks are named, and are no failure."""
    found = compare([{"a": 1, "new": 2}], [{"old": 3, "a": 1}], {}, "on v1.2")
    assert (found.only_here, found.only_there, found.failure) == (("new",), ("old",), "")


def test_replicates():
    """Means are compared in standard errors of their difference; the sweep says how many."""
    here = [{"x": value} for value in (1.0, 2.0, 3.0)]
    there = [{"x": value} for value in (1.5, 2.5, 3.5)]
    (near,) = compare(here, there, {}, "on v1.2").differences
    assert near.text == "x 2.00 ± 0.58, on v1.2 2.50 ± 0.58: differs by 0.6 sigma (allowed 3)"
    assert not near.fails
    assert compare(here, there, tolerances_of({"x": {"sigma": 0.5}}), "on v1.2").failure == (
        "x 2.00 ± 0.58, on v1.2 2.50 ± 0.58: differs by 0.6 sigma (allowed 0.5)"
    )
    assert not compare(here, there, tolerances_of({"x": {"sigma": 0.5, "abs": 1}}), "").failure


def test_one_run_against_replicates():
    """One run has the spread of the other side's replicates; a side without spread has none."""
    several, one = [{"x": 1.0}, {"x": 2.0}, {"x": 3.0}], [{"x": 5.0}]
    (difference,) = compare(one, several, {}, "on v1.2").differences
    assert difference.sigma == pytest.approx(3 / math.sqrt(1 + 1 / 3))
    assert not difference.fails
    (turned,) = compare(several, one, {}, "on v1.2").differences
    assert turned.sigma == pytest.approx(-difference.sigma)
    alike = [{"x": 2.0}] * 3
    assert compare(one, alike, {}, "on v1.2").failure == (
        "x 5.00, on v1.2 2.00 (+150.0 %, allowed 1e-9)"
    )
    same = [{"x": 1.0}, {"x": 1.0}]
    assert "must be equal" not in compare(same, same, {}, "on v1.2").failure
    assert compare(same, [{"x": 2.0}, {"x": 2.0}], {}, "on v1.2").failure


@pytest.mark.parametrize(
    "given", ["1", -1, math.nan, True, {"": 1}, {1: 1}, {"a": {"relative": 1}}, {"a": {"rel": "x"}}]
)
def test_refused(given):
    """A tolerance that cannot be meant is refused."""
    with pytest.raises(SweepError, match="tolerance"):
        tolerances_of(given)


def test_meaning():
    """A bare number is relative, for all measures or for one."""
    assert tolerances_of(1e-6) == {"": Tolerance(rel=1e-6)}
    assert tolerances_of({"a": 1e-6}) == {"a": Tolerance(rel=1e-6)}
