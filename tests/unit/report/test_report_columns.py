"""The table of a report: its columns, cells and causes, and the grid's axes."""

from __future__ import annotations

import itertools
import math

import pytest

from pytest_remex.report import Page, ReportRow
from pytest_remex.report.columns import axes, causes, cells, columns


def page(*columns):
    """Return a page whose parameters a, b, c... have these values, row by row."""
    names = tuple("abcdefg"[: len(columns)])
    rows = [
        ReportRow("node", "PASSED", values=dict(zip(names, values, strict=True)))
        for values in zip(*columns, strict=True)
    ]
    return Page("sweep", dimensions=names, rows=rows)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ([], []),
        ([[1, 2, 3]], [(0,)]),
        ([[1, 1, 1]], []),
        ([[1, 1], [3, 4]], [(1,)]),
        ([[1, 2], ["x", "y"]], [(0, 1)]),
        ([[1, 1, 2], [0.27, 0.28, 0.28]], [(0,), (1,)]),
        ([[float("nan")] * 2, [None, 1]], [(1,)]),
        (list(zip(*itertools.product([1, 2], "xy", [0.1, 0.2]), strict=True)), [(0,), (1,), (2,)]),
    ],
)
def test_axes_are_what_varies_by_itself(columns, expected):
    """Constant parameters are no axis; those that go one to one are one axis."""
    assert axes(page(*columns)) == expected


def test_no_rows_have_no_axes():
    """A page without experiments has no grid."""
    assert axes(Page("sweep", dimensions=("n",))) == []


def one_row(**fields):
    """Return the page of one row."""
    return Page("sweep", dimensions=("n",), rows=[ReportRow("node", "PASSED", **fields)])


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (1.5, 1.5),
        (2**53 + 1, "9007199254740993"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (True, True),
        (None, None),
        ("a\0", "a␀"),
    ],
)
def test_a_cell_holds_the_value_exactly(value, cell):
    """Numbers that JavaScript cannot represent are written as text."""
    made = one_row(values={"n": value})
    assert cells(made, made.rows[0])[2] == cell


def described(made):
    """Return the columns of a page by their title."""
    return {
        column.title: column for column in columns(made, [cells(made, row) for row in made.rows])
    }


def test_empty_columns_are_not_shown():
    """A column that no experiment fills is hidden, and so is what the parameters spell out."""
    made = one_row(values={"n": 1}, job="898024", commit="abc")
    assert {title for title, column in described(made).items() if column.shown} == {
        "Verdict", "n", "Job",
    }  # fmt: skip


def test_columns_that_do_not_vary_fold_away():
    """A value that is the same in every row is not a column, but is shown."""
    made = page([1, 2], [3, 3])
    found = described(made)
    assert (found["b"].constant, found["b"].shown) == (True, False)
    assert (found["a"].constant, found["a"].shown) == (False, True)


def test_keys_are_unique():
    """A parameter with the name of a column of the report keeps it; the report's is renamed."""
    made = Page(
        "sweep", dimensions=("state",), rows=[ReportRow("x", "PASSED", values={"state": 1})]
    )
    keys = [column.key for column in columns(made, [cells(made, made.rows[0])])]
    assert len(set(keys)) == len(keys)
    assert {"state", "state_"} <= set(keys)


def test_causes_are_grouped_and_counted():
    """Failures are grouped by cause, or by a reason's first line; passed rows have neither."""
    rows = [
        ReportRow("a", "FAILED", reason="assert l1 < 0.02\n0.3"),
        ReportRow("b", "FAILED", reason="assert 0.5 < 0.02", cause="assert l1 < 0.02"),
        ReportRow("c", "TIMEOUT", reason="time limit"),
        ReportRow("d", "PASSED", reason="a word on the side"),
        ReportRow("e", "FAILED"),
    ]
    assert causes(Page("sweep", rows=rows)) == [("assert l1 < 0.02", 2), ("time limit", 1)]
