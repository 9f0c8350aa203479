"""The table on disk: damage, crashes, and its companion files."""

from __future__ import annotations

import csv
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.errors import RecordError, RemexError
from pytest_remex.tables.frame import results
from pytest_remex.tables.table import Table, decode, encode, kind_of, read_table, write_table


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: change(folder, "{", "", "json"), r"results\.json cannot be read"),
        (lambda folder: (folder / "results.json").write_text("[]"), r"json cannot be read"),
        (lambda folder: (folder / "results.csv").write_bytes(b"\xff"), r"csv cannot be read"),
        (lambda folder: change(folder, ",1,", ",one,"), "does not match"),
        (lambda folder: change(folder, ",COMPLETED", ""), "does not match"),
        (lambda folder: change(folder, '"version": 1', '"version": 2', "json"), "newer"),
    ],
)
def test_damage(folder, damage, words, write, row):
    """A damaged table is refused with its path and the fix."""
    write(folder, row("a", mass=1), row("b", mass=2))
    damage(folder)
    with pytest.raises(RemexError, match=words):
        results("tams")


def test_a_collect_replaces_a_damaged_table(folder, write, row):
    """A damaged table does not stop a collect; a table of a newer version does."""
    write(folder, row("a", mass=1), row("b", mass=2))
    change(folder, ",1,", ",one,")
    write(folder, row("b", mass=2))
    assert list(results("tams").id) == ["b"]
    change(folder, '"version": 1', '"version": 2', "json")
    with pytest.raises(RemexError, match="newer"):
        write(folder, row("a", mass=1))


def change(folder, old, new, suffix="csv"):
    path = folder / f"results.{suffix}"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize("name", ["results.csv", "results.json"])
def test_a_crash_leaves_the_old_table(folder, monkeypatch, write, row, name):
    """A write that fails at either file is reported, and leaves only the old table."""
    write(folder, row("a", mass=1))

    def die(file):
        if f".{name}." in str(Path(f"/proc/self/fd/{file}").readlink()):
            raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(RecordError, match=rf"{name} cannot be written \(disk full\): fix"):
        write(folder, row("a", mass=2, new=3))
    assert not list(folder.rglob(".results*"))
    for table in (folder, folder / "launches" / "tams_2026_01_01_00_00_00"):
        assert list(results(table).mass) == [1]


def test_sidecar(folder, write, row):
    """The JSON file of a table has the type of each column."""
    write(folder, row("a", mass=1, measures={"age": 1.5}))
    sidecar = json.loads((folder / "results.json").read_text())
    assert sidecar["dimensions"] == [["mass"]]
    assert {"name": "mass", "role": "point", "kind": "int"} in sidecar["columns"]
    assert {"name": "age", "role": "measure", "kind": "float"} in sidecar["columns"]


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.text(alphabet=st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))
    | st.lists(st.integers() | st.text())
)  # fmt: skip


@given(
    columns=st.lists(st.tuples(VALUES, VALUES), max_size=4), names=st.sets(st.text(), max_size=4)
)
def test_what_is_passed_on_is_what_was_written(tmp_path_factory, columns, names):
    """The table that a write returns equals the one that is read later, for any values."""
    folder = tmp_path_factory.mktemp("sweep")
    columns = {"node": ("a", "b"), **dict(zip(sorted(names), columns, strict=False))}
    rows = [{name: values[index] for name, values in columns.items()} for index in range(2)]
    written = write_table(folder, Table((), dict.fromkeys(columns, "measure"), rows))
    assert repr(written) == repr(read_table(folder))


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


def test_long_cells_return(folder, write, row):
    """The names of many outputs are longer than the fields that csv reads by default."""
    names = [f"LOGS/profile{number}_of_a_long_run.data" for number in range(4000)]
    usual = csv.field_size_limit()
    write(folder, replace(row("a"), outputs=tuple(names)))
    write(folder, row("b"))
    assert results("tams").outputs[0] == names
    assert list(results("tams").id) == ["a", "b"]
    assert csv.field_size_limit() == usual


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
    """The values of any column are read back from its cells."""
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
