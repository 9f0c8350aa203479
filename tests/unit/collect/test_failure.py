"""Configs compared, causes grouped, and what a failure says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.collect.failure import common_cause, config_differences


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


def test_cause_has_no_numbers():
    """Failures that differ in their numbers have one cause."""
    assert common_cause("job 12 ended FAILED (1.5e3)") == common_cause("job 7 ended FAILED (-2)")
    assert common_cause("job 1 ended FAILED") != common_cause("job 1 ended TIMEOUT")
    assert common_cause("") == "no reason was given"


@given(st.text())
def test_cause_of_any_text(text):
    """Any text has a cause, which is its own cause."""
    assert common_cause(common_cause(text)) == common_cause(text)
