"""Literals to Python and back, and which elements a statement sets."""

from __future__ import annotations

import math
import subprocess
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesa_corpus.checks import differences
from mesa_corpus.gfortran import Claim, ask, gfortran

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa import InlistWarning, Raw, patch_inlist, read_inlist
from pytest_remex.namelists.values import format_value, parse_literal


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
        (1.5 - 2j, "(1.5, -2.0)"),
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
    """Numbers keep their type, text is quoted, lists are on one line."""
    assert format_value("name", value) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.inf, "name is inf: a simulation takes finite numbers"),
        (math.nan, "name is nan"),
        ("two\nlines", "a Fortran string cannot contain a line break"),
        ("cut\0", "a Fortran string cannot contain a line break"),
        ([], "an empty list sets nothing"),
        (None, r"use remove\('name'\)"),
        ([1, None], "name is None"),
        ({"a": 1}, "name is a dict: give a number"),
        ([[1]], "name is a list"),
        (complex(1, math.inf), "name is inf"),
        (Decimal(1), "name is a Decimal"),
        (b"x", "name is a bytes"),
    ],
)
def test_what_no_namelist_holds_is_refused(value, message):
    """The message names the setting, the value and the fix."""
    with pytest.raises(NamelistError, match=message):
        format_value("name", value)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans() | st.text())
def test_values_survive_the_way_to_fortran_and_back(value):
    """Written values are read back exactly, with their types."""
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
        ("'a\r\nb'", "ab"),
        ("(1,2)", 1 + 2j),
        ("( 1.5d0 , -.5 )", 1.5 - 0.5j),
        ("(a,2)", "(a,2)"),
        ("a''b", "a''b"),
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


SEMICOLON = "mass = 1; steps = 2"
REFUSES_SEMICOLONS = 14
"""The gfortran from which on a semicolon does not separate settings."""
STATEMENTS = {
    "w = 1 2 3": {"w(1)": 1, "w(2)": 2, "w(3)": 3},
    "w = 3*0.5": {"w(1)": 0.5, "w(2)": 0.5, "w(3)": 0.5},
    "w = 2*, 7": {"w(3)": 7},
    "w(2) = 1, 2": {"w(2)": 1, "w(3)": 2},
    "w(2:) = 1, 2": {"w(2)": 1, "w(3)": 2},
    "w(:2) = 1, 2": {"w(1)": 1, "w(2)": 2},
    "w(1:5:2) = 1, 2, 3": {"w(1)": 1, "w(3)": 2, "w(5)": 3},
    "w(5:1:-2) = 1, 2, 3": {"w(5)": 1, "w(3)": 2, "w(1)": 3},
    "w = 7\n w(2) = 8": {"w(1)": 7, "w(2)": 8},
    "g(2,3) = 5": {"g(2,3)": 5},
    "g(:,2) = 1, 2": {"g(1,2)": 1, "g(2,2)": 2},
    "g(:,:) = 1\n g(2,2) = 2": {"g(1,1)": 1, "g(2,2)": 2},
    "g(1:2,2:3) = 1, 2, 3": {"g(1,2)": 1, "g(2,2)": 2, "g(1,3)": 3},
    "words = 2*'a''b', 'c'": {"words(1)": "a'b", "words(2)": "a'b", "words(3)": "c"},
    SEMICOLON: {"mass": 1, "steps": 2},
}


@pytest.fixture
def inlist(tmp_path):
    """Write a group with one or more statements."""

    def write(statements):
        path = tmp_path / "inlist"
        path.write_text(f"&engine\n {statements}\n/\n")
        return path

    return write


@pytest.mark.parametrize("statements", STATEMENTS)
def test_a_statement_sets_these_elements(inlist, statements):
    """Sections, strides, repeat counts and lists behind an element, in Fortran's order."""
    assert read_inlist(inlist(statements)) == {"engine": STATEMENTS[statements]}


@pytest.mark.skipif(not gfortran(), reason="gfortran is not installed")
def test_gfortran_sets_the_same_elements(inlist):
    """The table above is gfortran's."""
    claims = [
        Claim(inlist(statements).read_bytes(), "engine", values)
        for statements, values in STATEMENTS.items()
        if statements != SEMICOLON or _major_version() < REFUSES_SEMICOLONS
    ]
    for claim, answer in zip(claims, ask(claims), strict=True):
        assert answer.status == 0, claim
        assert differences(claim.values, answer.values) == [], claim


def _major_version():
    command = [gfortran(), "-dumpversion"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return int(said.partition(".")[0])


def test_more_values_than_places_are_an_error(inlist):
    """A Fortran read fails there too."""
    with pytest.raises(NamelistError, match=r"line 2: w\(2:3\) has more values than places"):
        read_inlist(inlist("w(2:3) = 1, 2, 3"))


@pytest.mark.parametrize("statements", ["w = 1, 2, ! two\n 3", "w = 1, 2\n , 3"])
def test_a_list_that_gfortran_shifts_is_told(inlist, statements):
    """Values are given as the standard has it; gfortran 12 puts the last one an element further."""
    path = inlist(statements)
    with pytest.warns(InlistWarning, match="line 2: gfortran 12 shifts some elements of w"):
        assert read_inlist(path)["engine"] == {"w(1)": 1, "w(2)": 2, "w(3)": 3}


def test_a_subscript_that_is_no_number_is_kept(inlist):
    """A program may not read it, but it can be named."""
    path = inlist("w(i,2) = 5")
    assert read_inlist(path) == {"engine": {"w(i,2)": 5}}
    patch_inlist(path, {"w(i,2)": 6})
    assert read_inlist(path) == {"engine": {"w(i,2)": 6}}


def test_a_component_is_a_name(inlist):
    """Derived types are named as Fortran does."""
    path = inlist("star % core(2) % mass = 5")
    patch_inlist(path, {"star%core(2)%mass": 6})
    assert path.read_text() == "&engine\n star % core(2) % mass = 6\n/\n"
    assert read_inlist(path) == {"engine": {"star%core(2)%mass": 6}}


def test_unusual_spellings_are_read_as_gfortran_does(tmp_path):
    """NaN with a payload is one value, and a value once is no array."""
    path = tmp_path / "inlist"
    path.write_text("&engine\n n = 1*4, q = 2*NaN(7), +nan() s = 01*'x'\n w = 1*\n/\n")
    values = read_inlist(path)["engine"]
    assert list(values) == ["n", "q(1)", "q(2)", "q(3)", "s"]
    assert (values["n"], values["s"]) == (4, "x")
    assert all(math.isnan(values[f"q({place})"]) for place in (1, 2, 3))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("nl(0) = 5, nl = 6, 7", {"nl(0)": 6, "nl(1)": 7}),
        ("nl = 6, 7, nl(0) = 5", {"nl(0)": 5, "nl(1)": 7}),
        ("nl(-1:1) = 5, 1, 2, nl(:0) = 6, 7", {"nl(-1)": 6, "nl(0)": 7, "nl(1)": 2}),
        ("m(0,1) = 1, m(:,2) = 3, 4", {"m(0,1)": 1, "m(0,2)": 3, "m(1,2)": 4}),
    ],
)
def test_an_array_begins_at_its_lowest_index(tmp_path, text, values):
    """A list is assigned from an array's first element on, which an index below 1 shows."""
    path = tmp_path / "inlist"
    path.write_text(f"&engine\n {text}\n/\n")
    assert read_inlist(path)["engine"] == values
