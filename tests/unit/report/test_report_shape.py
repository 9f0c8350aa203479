"""The shape of a grid, from its rows."""

from __future__ import annotations

import itertools

import pytest

from pytest_remex.report import Page, Row
from pytest_remex.report.shape import axes


def page(*columns):
    """Give a page whose parameters a, b, c... have these values, row by row."""
    names = tuple("abcdefg"[: len(columns)])
    rows = [
        Row("node", "PASSED", values=dict(zip(names, values, strict=True)))
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
