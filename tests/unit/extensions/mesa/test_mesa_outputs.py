"""MESA's output files as DataFrames."""

from __future__ import annotations

import gzip
import math

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mesa_samples import columns

from pytest_remex.errors import RemexError
from pytest_remex.extensions.mesa import (
    TableWarning,
    read_history,
    read_profile,
    read_profiles_index,
)


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


HEADER = columns("model_number x y", [])
DAMAGE = {
    "two rows in one": "3 .3 3 3 .3 3\n",
    "half a row": "3 .3\n",
    "NULs where the disk was full": "\0" * 600 + "\n",
    "NULs before a row": "\0\0\0\0 3 .3 3\n",
    "NULs in a number": "3 .3\0\0 3\n",
    "a word among numbers": "3 .3 x3\n",
    "a second header": HEADER,
    "a second header behind a row without its end": f"3 .3 3{HEADER}",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_row_is_left_out(history, damage):
    """Damaged rows in the middle are dropped with a warning; the rest stays numbers."""
    rows = [f"{n} .{n} {n}" for n in (1, 2, 4, 5, 6)]
    lines = [f"   {row}\n" for row in rows]
    with pytest.warns(TableWarning, match=r"history.data: .*damaged rows? (is|are) left out"):
        table = history(HEADER + "".join([*lines[:2], DAMAGE[damage], *lines[2:]]))
    assert table.model_number.tolist() == [1, 2, 4, 5, 6]
    assert table.x.tolist() == [0.1, 0.2, 0.4, 0.5, 0.6]
    assert [str(kind) for kind in table.dtypes] == ["int64", "float64", "int64"]


@given(st.data())
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_survive_damage_between_them(tmp_path, data):
    """All whole rows are read exactly, and nothing else is, whatever is between them."""
    count = data.draw(st.integers(4, 9))
    values = data.draw(st.lists(st.floats(allow_nan=False), min_size=count, max_size=count))
    damage = data.draw(st.sampled_from(sorted(DAMAGE)))
    place = data.draw(st.integers(0, count - 1))
    lines = [f" {n + 10} {value!r} 7\n" for n, value in enumerate(values)]
    path = tmp_path / "history.data"
    path.write_text(HEADER + "".join([*lines[:place], DAMAGE[damage], *lines[place:]]))
    with pytest.warns(TableWarning):
        table = read_history(path)
    assert table.model_number.tolist() == [n + 10 for n in range(count)]
    assert table.x.tolist() == values


def test_a_row_that_counts_its_columns_is_a_row(history):
    """The numbers above a second header look like it, and only they are dropped."""
    with pytest.warns(TableWarning):
        table = history(columns("model_number x y", ["1 2 3", "2 3", "4 5 6", "5 5 5"]))
    assert table.x.tolist() == [2, 5, 5]


def test_a_table_of_many_parts_is_one(history):
    """Rows are parsed some thousand at a time; a column's kind is that of all of them."""
    rows = [f"{n} {n} {n if n < 50000 else n + 0.5}" for n in range(60000)]
    table = history(columns("model_number x y", rows))
    assert len(table) == 60000
    assert [str(kind) for kind in table.dtypes] == ["int64", "int64", "float64"]
    assert (table.y.iloc[0], table.y.iloc[-1]) == (0, 59999.5)


def test_some_columns_are_read_in_the_order_asked_for(tmp_path):
    """Models that were computed again are left out though their numbers are not asked for."""
    path = tmp_path / "history.data"
    path.write_text(columns("model_number x y z", ["1 .1 1 7", "2 .2 2 7", "2 .3 3 7"]))
    table = read_history(path, columns=["y", "x"])
    assert list(table.columns) == ["y", "x"]
    assert table.to_numpy().tolist() == [[1, 0.1], [3, 0.3]]
    assert table.attrs["initial_mass"] == 15.0
    with pytest.raises(RemexError, match="no column 'modelnumber': did you mean model_number"):
        read_history(path, columns=["modelnumber"])
    with pytest.raises(RemexError, match=r"is one string: write columns=\['x'\]"):
        read_history(path, columns="x")


def test_a_gzipped_table_is_read(tmp_path):
    """The first bytes decide, not the name; a file that was cut off is an error with a message."""
    path = tmp_path / "history_M1.5.txt"
    packed = gzip.compress(columns("model_number x", [f"{n} .5" for n in range(500)]).encode())
    path.write_bytes(packed)
    assert len(read_history(path)) == 500
    path.write_bytes(packed[:-20])
    with pytest.raises(RemexError, match="cannot be read: Compressed file ended"):
        read_history(path)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "1 2\na b\n", "1\na\n2\n\nx\ny\n1\n"])
def test_another_layout_is_an_error(history, text):
    """Numbered columns are what the layout begins with."""
    with pytest.raises(RemexError, match="is not an output of MESA"):
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
    for text in ("  1 models\n 1 x 1\n", " 2 models\n 1 1 1\n 50 2\n", " 1 1 1\n 50 1 2\n"):
        path.write_text(text)
        with pytest.raises(RemexError, match=r"is not a profiles.index"):
            read_profiles_index(path)
