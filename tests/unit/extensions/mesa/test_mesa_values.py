"""Literals to Python and back."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa import Raw
from pytest_remex.extensions.mesa.values import format_value, parse_literal


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (-7, "-7"),
        (0.1, "0.1"),
        (1e22, "1e+22"),
        (5e-324, "5e-324"),
        (True, ".true."),
        (False, ".false."),
        ("it's", "'it''s'"),
        ("", "''"),
        ([1, 2.5], "1, 2.5"),
        (("a", "b"), "'a', 'b'"),
        (Raw("1d-3"), "1d-3"),
        ([Raw("2*1"), 3], "2*1, 3"),
        (np.float64(0.1), "0.1"),
        (np.int64(4), "4"),
        (np.bool_(True), ".true."),  # noqa: FBT003 - numpy's own bool
        (np.array([1.5, 2.5]), "1.5, 2.5"),
        (Path("models/zams.mod"), "'models/zams.mod'"),
    ],
)
def test_a_python_value_becomes_fortran(value, text):
    """Numbers keep their kind, text is quoted, lists stand on one line."""
    assert format_value("name", value) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.inf, "name is inf: a simulation takes finite numbers"),
        (math.nan, "name is nan"),
        ("two\nlines", "a Fortran text holds no line break"),
        ("cut\0", "a Fortran text holds no line break"),
        ([], "an empty list sets nothing"),
        (None, r"use remove\('name'\)"),
        ([1, None], "name is None"),
        ({"a": 1}, "name is a dict: give a number"),
        ([[1]], "name is a list"),
        (1j, "name is a complex"),
        (Decimal(1), "name is a Decimal"),
        (b"x", "name is a bytes"),
    ],
)
def test_what_no_namelist_holds_is_refused(value, message):
    """The message names the setting, the value and what to give."""
    with pytest.raises(NamelistError, match=message):
        format_value("name", value)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans() | st.text())
def test_values_survive_the_way_to_fortran_and_back(value):
    """What is written is read as it was, bit by bit, with its kind."""
    try:
        text = format_value("name", value)
    except NamelistError:
        assert set(value) & set("\n\r\0")
        return
    back = parse_literal(text)
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1d-3", 1e-3),
        ("1.5+3", 1500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1Q2", 100.0),
        ("1e5", 1e5),
        ("-0", 0),
        (".t", True),
        (".False", False),
        (".tfoo", True),
        ("t", True),
        ("'a\nb'", "ab"),
        ("(1,2)", "(1,2)"),
        ("bare", "bare"),
    ],
)
def test_spellings_of_literals(text, value):
    """A Fortran read takes them so."""
    assert parse_literal(text) == value
    assert type(parse_literal(text)) is type(value)


def test_special_numbers_can_be_read():
    """A Fortran read takes them, though the patcher does not write them."""
    assert parse_literal("-Infinity") == -math.inf
    assert math.isnan(parse_literal("NaN"))
