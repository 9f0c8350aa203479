"""The cells: what is written comes back, also from other tools."""

import csv
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.errors import RemexError
from pytest_remex.tables.cells import decode, encode, kind_of
from pytest_remex.tables.frame import results

TRICKY = ["=1+1", "+1", "-1", "@x", "'", "'=1", "1", "1.0", "True", "nan", "None", " a ", "a,b"]
HOSTILE = ['"', "a\nb", "a\r\nb", "\r", "\t=1", ";", "\u2028", "é", "\0", "../x", "<b>", "NA"]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], "int64"),
        ([1, None], "Int64"),
        ([1, 2.5], "float64"),
        ([0.1, None], "float64"),
        ([math.inf, 5e-324], "float64"),
        ([True, False], "bool"),
        ([True, None], "boolean"),
        ([[1, 2], None], "object"),
        ([{"a": 1.5}, "x"], "object"),
        ([2**70, 1], "object"),
        (["", None], "object"),
        (["", "a"], "str"),
        (["a", None], "str"),
        ([None, None], "float64"),
        ([np.float64(0.1), np.int64(3)], "float64"),
        (list(np.array([True, False])), "bool"),
    ],
)
def test_types_return(folder, values, dtype, write, row):
    """Numbers, booleans, None, lists and texts come back with their types."""
    write(folder, *(row(i, mass=i, measures={"x": value}) for i, value in enumerate(values)))
    found = results("tams").x
    expected = "object" if dtype == "str" and pd.__version__ < "3" else dtype
    assert found.dtype == expected
    for value, again in zip(values, found, strict=True):
        assert (value is None and (again is None or pd.isna(again))) or again == value


@pytest.mark.parametrize("text", TRICKY + HOSTILE)
def test_text_returns(folder, text, write, row):
    """Text that looks like a number, a formula or a line's end comes back as it was."""
    write(folder, row("a", mass=text, measures={"m": text, text: 1}))
    table = results("tams")
    assert [table.mass[0], table.m[0], table[text][0]] == [text, text, 1]


def test_spreadsheet_formulas(folder, write, row):
    """No cell of the CSV begins with what a spreadsheet runs, other than numbers."""
    write(folder, row("a", mass=-1.5, measures={"m": "=cmd|' /C calc'!A0", "=x": "@SUM(1)"}))
    with (folder / "results.csv").open(newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert "'=cmd|' /C calc'!A0" in cells
    assert "-1.5" in cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()))
def test_cells_return(values):
    """Whatever a column holds, its cells give back."""
    kind = kind_of(values)
    assert decode(encode(values, kind), kind) == values


def test_pandas_reads_the_csv(folder, write, row):
    """The CSV alone is a table for other tools."""
    write(folder, row("a", mass=0.1, measures={"ok": True}), row("b", mass=1e-7))
    table = pd.read_csv(folder / "results.csv")
    assert list(table.mass) == [0.1, 1e-7]
    (folder / "results.json").unlink()
    assert list(results("tams").mass) == [0.1, 1e-7]
    with pytest.raises(RemexError, match=r"results\.json"):
        results("tams", grid=True)
