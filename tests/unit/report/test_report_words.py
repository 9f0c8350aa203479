"""Numbers, durations and tones of a report."""

from __future__ import annotations

import pytest

from pytest_remex.common.jobs import JobState
from pytest_remex.report.numbers import duration, shown
from pytest_remex.report.tones import tone


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.25, "0.25 s"),
        (59.7, "1 min 00 s"),
        (125, "2 min 05 s"),
        (7500, "2 h 05 min"),
        (180_000, "2 d 02 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds, text):
    """Seconds are given as a person would say them."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "True"), (7, "7"), (3.14159265, "3.14159"), (1e-99, "1e-99"), ("x", "x")],
)
def test_a_value_is_shown_short(value, text):
    """Floats have six significant digits; nothing is nothing."""
    assert shown(value) == text


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("PASSED", "good"),
        ("PASSED, CHANGED SINCE LAUNCH", "odd"),
        ("FAILED, CHANGED SINCE LAUNCH", "bad"),
        ("RUNNING", "live"),
        ("", "unknown"),
        (" ", "unknown"),
        ("no such word", "unknown"),
    ],
)
def test_a_verdict_has_a_tone(verdict, expected):
    """The first word decides, and a remark makes a pass worth a look."""
    assert tone(verdict) == expected


def test_every_job_state_but_unknown_has_a_tone():
    """A state that Slurm can give is not taken for an unknown word."""
    toneless = {state for state in JobState if tone(state) == "unknown"}
    assert toneless == {JobState.UNKNOWN}
