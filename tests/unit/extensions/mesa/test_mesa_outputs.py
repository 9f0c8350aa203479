"""MESA's output files as DataFrames."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from mesa_samples import columns

from pytest_remex.errors import RemexError
from pytest_remex.extensions.mesa import read_history, read_profile, read_profiles_index


@pytest.fixture
def history(tmp_path):
    """Write a file and read it as a history."""

    def read(text):
        path = tmp_path / "history.data"
        path.write_text(text)
        return read_history(path)

    return read


def test_a_history_is_a_table_with_the_header_beside_it(history):
    """Columns have their names and types; the header is in `.attrs`."""
    table = history(
        columns("model_number star_age log_L", ["1 1e5 0.1", "2 2e5 0.30000000000000004"])
    )
    assert list(table.columns) == ["model_number", "star_age", "log_L"]
    assert table.model_number.dtype == "int64"
    assert table.log_L.tolist() == [0.1, 0.1 + 0.2]
    assert table.attrs == {"version_number": "r1.2", "initial_mass": 15.0}


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1.25-105", 1.25e-105),
        ("-1d99", -1e99),
        ("3.5D+002", 350.0),
        ("-2.0+200", -2e200),
        ("NaN", math.nan),
        ("****", math.nan),
        ("-Infinity", -math.inf),
    ],
)
def test_numbers_as_fortran_writes_them(history, written, number):
    """An exponent without its letter, a d, an overflow: the column stays one of floats."""
    table = history(columns("model_number x", [f"1 {written}", "2 1.5"]))
    assert table.x.dtype == "float64"
    assert table.x[1] == 1.5
    assert table.x[0] == number or (math.isnan(number) and math.isnan(table.x[0]))


def test_models_that_a_restart_computed_again_are_dropped(history):
    """Of two rows of one model the later one counts, and so do the models after it."""
    rows = ["1 .1", "2 .2", "3 .3", "4 .4", "3 .33", "4 .44", "5 .5", "4 .444"]
    table = history(columns("model_number x", rows))
    assert table.model_number.tolist() == [1, 2, 3, 4]
    assert table.x.tolist() == [0.1, 0.2, 0.33, 0.444]
    assert table.index.tolist() == [0, 1, 2, 3]
    assert table.attrs["initial_mass"] == 15.0


@pytest.mark.parametrize("cut", ["3 0.", "3", "3 0.3 1."])
def test_a_row_that_was_cut_off_is_left_out(history, cut):
    """A job that was killed leaves half a row, with or without all its columns."""
    text = columns("model_number x y", ["1 .1 1", "2 .2 2"])
    assert history(f"{text}{cut}").model_number.tolist() == [1, 2]
    if len(cut.split()) < 3:
        assert history(f"{text}{cut}\n").model_number.tolist() == [1, 2]


def test_a_history_without_rows_has_its_columns(history):
    """A run that ended before its first model still has a table."""
    table = history(columns("model_number x", []))
    assert list(table.columns) == ["model_number", "x"]
    assert len(table) == 0


def test_a_column_that_stands_twice_is_numbered(history):
    """MESA writes a column as often as its list names it."""
    assert list(history(columns("model_number x x", ["1 2 3"])).columns) == [
        "model_number",
        "x",
        "x.1",
    ]


def test_text_columns_stay_text(history):
    """A word in a column makes it text."""
    assert history(columns("model_number x", ["1 a", "2 3"])).x.tolist() == ["a", "3"]


def test_a_row_with_too_many_columns_is_an_error(history):
    """Two rows in one are damage, not data."""
    with pytest.raises(RemexError, match="a row has more columns than names"):
        history(columns("model_number x", ["1 2", "2 3 3 4", "4 5"]))


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "1 2\na b\n", "1\na\n2\n\nx\ny\n1\n"])
def test_another_layout_is_an_error(history, text):
    """Numbered columns are what the layout begins with."""
    with pytest.raises(RemexError, match="is no output of MESA"):
        history(text)


def test_a_missing_file_is_an_error(tmp_path):
    """The path is in the message."""
    with pytest.raises(RemexError, match=r"history.data cannot be read: No such file"):
        read_history(tmp_path / "history.data")


def test_a_profile_keeps_all_its_zones(tmp_path):
    """A profile's rows are zones, not models."""
    path = tmp_path / "profile1.data"
    path.write_text(columns("zone logT", ["1 3.5", "2 4.5"]))
    assert read_profile(path).logT.tolist() == [3.5, 4.5]


def test_the_index_of_profiles(tmp_path):
    """Model, priority and number of each profile, as they were written last."""
    path = tmp_path / "profiles.index"
    path.write_text("  4 models.    lines hold ...\n 1 1 1\n 50 2 2\n 100 1 3\n 50 1 4\n")
    table = read_profiles_index(path)
    expected = {"model_number": [1, 50], "priority": [1, 1], "profile_number": [1, 4]}
    pd.testing.assert_frame_equal(table, pd.DataFrame(expected))
    path.write_text("  1 models\n 1 x 1\n")
    with pytest.raises(RemexError, match=r"is no profiles.index"):
        read_profiles_index(path)
