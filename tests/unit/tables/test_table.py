"""The table on disk: damage, crashes, and what lies beside it."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_remex.errors import RecordError, RemexError
from pytest_remex.tables.frame import results
from pytest_remex.tables.table import Table, read_table, write_table


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: change(folder, "{", "", "json"), r"results\.json cannot be read"),
        (lambda folder: (folder / "results.json").write_text("[]"), r"json cannot be read"),
        (lambda folder: (folder / "results.csv").write_bytes(b"\xff"), r"csv cannot be read"),
        (lambda folder: change(folder, ",1,", ",one,"), "does not hold"),
        (lambda folder: change(folder, ",COMPLETED", ""), "does not hold"),
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
    """A table that cannot be read does not stand in a collect's way; a newer version's does."""
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
    """A write that dies at either file is told, and leaves the table that was there, alone."""
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
    """The JSON beside the table says what each column is."""
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


@settings(deadline=None)
@given(
    columns=st.lists(st.tuples(VALUES, VALUES), max_size=4), names=st.sets(st.text(), max_size=4)
)
def test_what_is_passed_on_is_what_was_written(tmp_path_factory, columns, names):
    """The table that a write returns is the one that a later read finds, whatever the values."""
    folder = tmp_path_factory.mktemp("sweep")
    columns = {"node": ("a", "b"), **dict(zip(sorted(names), columns, strict=False))}
    rows = [{name: values[index] for name, values in columns.items()} for index in range(2)]
    written = write_table(folder, Table((), dict.fromkeys(columns, "measure"), rows))
    assert repr(written) == repr(read_table(folder))
