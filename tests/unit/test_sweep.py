"""The decorator, the grid that it stands for, and the call of a sweep function."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex import sweep
from pytest_remex.errors import SweepError
from pytest_remex.sweep import SweepCall, expand, plain, point_id, sweep_of

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def plan(*arguments, **options):
    """Return the sweep of a decorated function."""
    return sweep_of(sweep(*arguments, **options)(lambda: None))


def test_product_in_the_order_given():
    """The grid is the dimensions' product, the last one varying fastest."""
    points = expand(plan({"a": [1, 2], ("b", "c"): [(3, 4), (5, 6)]}, name="grid"))
    assert points == [
        {"a": 1, "b": 3, "c": 4},
        {"a": 1, "b": 5, "c": 6},
        {"a": 2, "b": 3, "c": 4},
        {"a": 2, "b": 5, "c": 6},
    ]
    assert point_id(points[1]) == "a=1-b=5-c=6"


def test_no_dimensions_are_one_experiment():
    """@sweep() is one experiment, whose point is empty."""
    assert expand(plan(name="one")) == [{}]
    assert point_id({}) == ""


def test_defaults():
    """The name is the function's, and the base HEAD."""

    @sweep()
    def star(experiment):
        """Shine."""

    found = sweep_of(star)
    assert (found.name, found.branch, found.fetch, found.config_file) == ("star", "HEAD", (), None)
    assert star.__doc__ == "Shine."
    assert sweep_of(print) is None


def test_generators_as_dimensions():
    """A dimension may be any iterable, also one that is used up."""
    assert len(expand(plan({"a": range(3), "b": (b for b in "xy")}, name="grid"))) == 6


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.int32(3), 3),
        (np.bool_(1), True),
        (np.array([1, 2]), [1, 2]),
        ((1, (2, 3)), [1, [2, 3]]),
        ({"a": np.float32(0.5)}, {"a": 0.5}),
    ],
)
def test_plain_values(value, expected):
    """NumPy's values and tuples become what JSON holds."""
    found = plain(value, "x")
    assert found == expected
    assert type(found) is type(expected)


@given(JSON)
def test_json_values_stay(value):
    """What JSON can hold is kept as it is, and comes back from JSON."""
    assert plain(value, "x") == value
    assert json.loads(json.dumps(plain(value, "x"))) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.nan])
def test_only_finite_numbers(value):
    """Infinities and nan are refused by name."""
    with pytest.raises(SweepError, match=r"mass = .*finite number"):
        plain(value, "mass")


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j, print])
def test_only_what_json_holds(value):
    """Other objects are refused, with their type."""
    with pytest.raises(SweepError, match=f"mass = .*a {type(value).__name__} cannot be kept"):
        plain(value, "mass")


@given(st.lists(st.text(), min_size=1, unique=True))
def test_any_text_makes_points(texts):
    """Different texts are different points, whatever they hold."""
    points = expand(plan({"text": texts}, name="grid"))
    assert [point["text"] for point in points] == texts
    assert len({point_id(point) for point in points}) == len(texts)


def test_points_of_equal_ids():
    """Points that one id would name are refused, also where their values differ in type."""
    with pytest.raises(SweepError, match="two points are 'a=1'"):
        plan({"a": [1, "1"]}, name="grid")


def called(function, *arguments):
    """Return a call that has run up to its yield."""
    made = SweepCall(lambda: function(*arguments), "star")
    made.patch()
    return made


def test_yield_gives_the_run():
    """What comes after yield gets the run, and its return is the measures."""

    def star():
        run = yield
        return {"twice": 2 * run}

    assert called(star).check(21) == {"twice": 42}


def test_without_yield():
    """A function without yield only patches."""
    done = []
    assert called(lambda: done.append(1)).check(None) == {}
    assert done == [1]


def test_yield_that_is_not_reached():
    """A function that returns before its yield only patches."""

    def star(until):
        if until == "early":
            return
        yield

    assert called(star, "early").check(None) == {}


def test_close_runs_finally():
    """A paused call that is not checked is closed."""
    seen = []

    def star():
        try:
            yield
        finally:
            seen.append("closed")

    called(star).close()
    assert seen == ["closed"]


def test_check_raises_the_users_own():
    """What a check raises is the user's own exception."""

    def star():
        yield
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        called(star).check(None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(0), False),
        (pd.Series([7]).iloc[0], 7),
        (None, None),
        ("text", "text"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_measures_are_plain(value, expected):
    """Measures become numbers, texts, or None, also from NumPy and pandas."""

    def star():
        yield
        return {"measure": value}

    found = called(star).check(None)["measure"]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("value", [3, [1], "text"])
def test_measures_are_a_dict(value):
    """A return that is no dict is refused, with its value."""

    def star():
        yield
        return value

    with pytest.raises(SweepError, match=r"sweep star returns .*: return a dict of measures"):
        called(star).check(None)
