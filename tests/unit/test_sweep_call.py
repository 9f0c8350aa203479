"""A sweep function's call, paused at its yield."""

import numpy as np
import pandas as pd
import pytest

from pytest_remex.errors import SweepError
from pytest_remex.sweep_call import Body


def body(function, *arguments):
    """Give a call that has run up to its yield."""
    made = Body(lambda: function(*arguments), "star")
    made.patch()
    return made


def test_yield_gives_the_run():
    """What comes after yield gets the run, and its return is the measures."""

    def star():
        run = yield
        return {"twice": 2 * run}

    assert body(star).check(21) == {"twice": 42}


def test_without_yield():
    """A function without yield only patches."""
    done = []
    assert body(lambda: done.append(1)).check(None) == {}
    assert done == [1]


def test_yield_that_is_not_reached():
    """A function that returns before its yield only patches."""

    def star(until):
        if until == "early":
            return
        yield

    assert body(star, "early").check(None) == {}


def test_close_runs_finally():
    """A paused body that is not judged is closed."""
    seen = []

    def star():
        try:
            yield
        finally:
            seen.append("closed")

    body(star).close()
    assert seen == ["closed"]


def test_check_raises_the_users_own():
    """What a check raises is the user's own exception."""

    def star():
        yield
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        body(star).check(None)


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

    found = body(star).check(None)["measure"]
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("value", [3, [1], "text"])
def test_measures_are_a_dict(value):
    """A return that is no dict is refused, with its value."""

    def star():
        yield
        return value

    with pytest.raises(SweepError, match=r"sweep star returns .*: return a dict of measures"):
        body(star).check(None)
