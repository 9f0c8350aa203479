"""Configs compared, and what a failure says."""

import pytest

from pytest_remex.collect.failure import config_differences


@pytest.mark.parametrize(
    ("asked", "ran"),
    [
        ({"mass": 10}, {"mass": 10.0}),
        ({"mass": 10}, {"MASS": 10}),
        ({"name": "x"}, {"name": "x  "}),
        ({"mass": 10, "free": 1}, {"mass": 10}),
        ({"mass": 10}, {}),
        ({"flag": True}, {"flag": True}),
        ({"list": [1, 2]}, {"list": [1, 2]}),
    ],
)
def test_no_difference(asked, ran):
    """What was asked for and is not there, or is written otherwise, is no difference."""
    assert config_differences(asked, ran) == []


@pytest.mark.parametrize(
    ("asked", "ran", "shown"),
    [
        ({"mass": 10}, {"mass": 11}, "mass: asked for 10, ran with 11"),
        ({"flag": True}, {"flag": 1}, "flag: asked for True, ran with 1"),
        ({"name": "x"}, {"name": "y"}, "name: asked for 'x', ran with 'y'"),
        ({"z": 0.02}, {"z": None}, "z: asked for 0.02, ran with None"),
    ],
)
def test_difference(asked, ran, shown):
    """A difference shows both values."""
    assert config_differences(asked, ran) == [shown]
