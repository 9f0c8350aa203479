"""Ids of points are short, unique in their sweep, and the same from run to run."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.experiment import Experiment
from pytest_remex.names import full_point_id, point_id, short_texts, with_full_id
from pytest_remex.sweep import expand, sweep, sweep_of


def ids(**dimensions):
    """Return the ids of a grid."""
    plan = sweep_of(sweep(dimensions)(lambda: None))
    return [point_id(plan, point) for point in expand(plan)]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.1 + 0.2], ["0.3"]),
        ([0.3, 0.1 + 0.2], ["0.3", "0.30000000000000004"]),
        (np.linspace(0, 1, 4), ["0.0", "0.3333", "0.6667", "1.0"]),
        (np.logspace(-2, -1, 3), ["0.01", "0.03162", "0.1"]),
        ([0.0272227046], ["0.02722"]),
        ([1.00000001, 1.00000002], ["1.00000001", "1.00000002"]),
        ([1 / 3, 1 / 3 + 1e-6], ["0.333333", "0.333334"]),
        ([1e-5 / 3, 1e22 / 3], ["3.333e-06", str(1e22 / 3)]),
        ([123456.789], ["123457.0"]),
        ([1.5, 2.25, 3.14159, 10, "a", True, [0.1 + 0.2]],
         ["1.5", "2.25", "3.14159", "10", "a", "True", "[0.30000000000000004]"]),
    ],
)  # fmt: skip
def test_texts_of_values(values, texts):
    """Floats with many digits are shortened as far as they stay apart; all else is as it was."""
    assert ids(a=values) == [f"a={text}" for text in texts]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(), unique=True))
def test_unique_whatever_the_values(values):
    """Different floats have different texts, and no more digits than they need to have."""
    texts = short_texts(values)
    shown = [
        texts.get(value, str(value)) if type(value) is float else str(value) for value in values
    ]
    assert len({*shown}) == len({*map(str, values)})
    assert all(len(texts[value]) <= len(str(value)) + 2 for value in texts)


def test_order_does_not_matter():
    """The values of a grid in another order, or with others, have the same texts."""
    values = list(np.linspace(0, 1, 8))
    assert sorted(ids(a=values)) == sorted(ids(a=values[::-1]))
    assert {*ids(a=values)} < {*ids(a=[*values, 5.123456789, 6.0])}


def test_commits_are_named_by_all_digits(tmp_path):
    """An id with all digits names the commit: it stays as it was in older launches."""
    plan = sweep_of(sweep({"a": [1 / 3], "b": [2]}, name="grid")(lambda: None))
    (point,) = expand(plan)
    experiment = Experiment(plan, f"x-{point_id(plan, point)}-y", point, point, tmp_path)
    assert experiment.id == "x-a=0.3333-b=2-y"
    full = with_full_id(experiment.id, experiment.sweep, experiment.point)
    assert full == f"x-{full_point_id(point)}-y" == f"x-a={1 / 3}-b=2-y"
