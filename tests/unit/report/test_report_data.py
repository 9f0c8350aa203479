"""The data inside a report: JSON in HTML, exact and inert."""

from __future__ import annotations

import base64
import gzip
import json
import math
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.report.columns import cells, columns
from pytest_remex.report.content import content
from pytest_remex.report.data import CHUNK, chunks, script_json
from pytest_remex.report.page import Page, Row

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_in_a_script_reads_back(value):
    """An HTML parser gives the script's text whole, and JSON gives the value back."""
    found = []

    class Parser(HTMLParser):
        def handle_data(self, data):
            found.append(data)

    parser = Parser()
    parser.feed(f'<script type="application/json">{script_json(value)}</script><p></p>')
    assert json.loads("".join(found)) == value


def one_row(**fields):
    """Give the page of one row."""
    return Page("sweep", dimensions=("n",), rows=[Row("node", "PASSED", **fields)])


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
    """What JavaScript's numbers cannot hold goes in as text."""
    (one,) = content(one_row(values={"n": value})).entries
    assert cells(one)[2] == cell


def test_empty_columns_are_not_shown():
    """A column that no experiment fills is hidden, and so is what the parameters spell out."""
    page = one_row(values={"n": 1}, job="898024", commit="abc")
    rows = [cells(one) for one in content(page).entries]
    shown = {column.title for column in columns(page, rows) if column.shown}
    assert shown == {"Verdict", "n", "Job"}


def test_details_are_packed_in_order():
    """The details of row i are in chunk i // size, at i % size."""
    rows = [Row(f"node {i}", "PASSED", diff=f"+{i}") for i in range(2 * CHUNK + 1)]
    packed = chunks(content(Page("sweep", rows=rows)).entries)
    read = [json.loads(gzip.decompress(base64.b64decode(chunk))) for chunk in packed]
    assert [len(chunk) for chunk in read] == [CHUNK, CHUNK, 1]
    assert read[1][3]["diff"] == f"+{CHUNK + 3}"


def test_long_texts_are_cut_and_say_so():
    """Of a patch the start is kept, of a log the end."""
    (one,) = content(one_row(diff="d" * 30_000, log="first" + "l" * 30_000 + "last")).entries
    assert one.diff.endswith("\n[10000 more characters]")
    assert one.log.startswith("[10009 characters before]\n")
    assert one.log.endswith("last")
