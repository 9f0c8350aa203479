"""The results: what is written comes back, in a notebook and in other tools."""

import csv
import json
import math
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.cells import decode, encode, kind_of
from pytest_remex.errors import RemexError
from pytest_remex.model import JobState
from pytest_remex.results import results
from pytest_remex.rows import Row, write_results

FIRST, SECOND = "tams_2026_01_01_00_00_00", "tams_2026_02_01_00_00_00"
TRICKY = ["=1+1", "+1", "-1", "@x", "'", "'=1", "1", "1.0", "True", "nan", "None", " a ", "a,b"]
HOSTILE = ['"', "a\nb", "a\r\nb", "\r", "\t=1", ";", "\u2028", "é", "\0", "../x", "<b>", "NA"]


def row(node, *, launch=FIRST, measures=None, **point):
    return Row(
        node=f"sweeps.py::tams[{node}]",
        id=str(node),
        point=point,
        launch=launch,
        state=JobState.COMPLETED,
        verdict="PASSED",
        measures={} if measures is None else measures,
        elapsed=12.5,
        job="123",
        run_directory=f"main_tams_{node}",
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Give the folder of the sweep `tams` in the output folder here."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "remex-output" / "tams"


def write(folder, *rows, dimensions=(("mass",),), **options):
    write_results(folder, rows, dimensions=dimensions, **options)


def test_columns(folder):
    """A row has the experiment, its parameters, its measures, and what became of it, in order."""
    write(folder, row("a", mass=10, measures={"age": 1.5}))
    table = results("tams")
    assert list(table) == [
        *("node", "id", "mass", "age", "state", "verdict", "reason", "elapsed", "job", "commit"),
        *("parent", "run_directory", "path", "outputs", "launch"),
    ]
    assert table.loc[0, ["node", "state", "job"]].to_list() == [
        "sweeps.py::tams[a]",
        "COMPLETED",
        "123",
    ]
    assert table.attrs == {"dimensions": [["mass"]], "parameters": ["mass"], "measures": ["age"]}
    assert not isinstance(table.index, pd.MultiIndex)


def test_outputs_are_found(folder, monkeypatch, tmp_path):
    """A row's path leads to its outputs from any working directory, and after a move."""
    runs = tmp_path / "remex-output" / "runs" / "main_tams_a"
    runs.mkdir(parents=True)
    (runs / "out").write_text("done")
    write(folder, replace(row("a", mass=10), path=runs, outputs=["out"]))
    moved = (tmp_path / "remex-output").rename(tmp_path / "moved")
    monkeypatch.chdir("/")
    for table in (results(moved / "tams"), results(moved / "tams", launch=FIRST)):
        assert table.outputs[0] == ["out"]
        assert (Path(table.path[0]) / table.outputs[0][0]).read_text() == "done"


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
def test_types_return(folder, values, dtype):
    """Numbers, booleans, None, lists and texts come back with their types."""
    write(folder, *(row(i, mass=i, measures={"x": value}) for i, value in enumerate(values)))
    found = results("tams").x
    expected = "object" if dtype == "str" and pd.__version__ < "3" else dtype
    assert found.dtype == expected
    for value, again in zip(values, found, strict=True):
        assert (value is None and (again is None or pd.isna(again))) or again == value


@pytest.mark.parametrize("text", TRICKY + HOSTILE)
def test_text_returns(folder, text):
    """Text that looks like a number, a formula or a line's end comes back as it was."""
    write(folder, row("a", mass=text, measures={"m": text, text: 1}))
    table = results("tams")
    assert [table.mass[0], table.m[0], table[text][0]] == [text, text, 1]


def test_spreadsheet_formulas(folder):
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


def test_pandas_reads_the_csv(folder):
    """The CSV alone is a table for other tools."""
    write(folder, row("a", mass=0.1, measures={"ok": True}), row("b", mass=1e-7))
    table = pd.read_csv(folder / "results.csv")
    assert list(table.mass) == [0.1, 1e-7]
    (folder / "results.json").unlink()
    assert list(results("tams").mass) == [0.1, 1e-7]
    with pytest.raises(RemexError, match=r"results\.json"):
        results("tams", grid=True)


def test_names_taken(folder):
    """Parameters and measures named as other columns keep columns of their own."""
    write(folder, row("a", state="on", mass=1, measures={"mass": 2, "job": 3}))
    table = results("tams")
    assert table.loc[0, ["parameter.state", "mass", "measure.mass", "measure.job"]].to_list() == [
        "on",
        1,
        2,
        3,
    ]
    assert table.state[0] == "COMPLETED"


def test_collecting_a_part_keeps_the_rest(folder):
    """A row replaces that of its node id; the others stay, until the sweep has them no more."""
    write(folder, row("a", mass=1, measures={"age": 1}), row("b", mass=2, measures={"age": 2}))
    write(folder, row("b", mass=2, measures={"years": 3.5}), row("c", mass=4))
    table = results("tams").set_index("id")
    assert list(table.index) == ["a", "b", "c"]
    assert table.age["a"] == 1
    assert pd.isna(table.age["b"])
    assert table.years["b"] == 3.5
    today = {"sweeps.py::tams[b]", "sweeps.py::tams[c]"}
    write(folder, row("c", mass=4), experiments=today)
    assert list(results("tams").id) == ["b", "c"]
    assert "age" not in results("tams")
    assert list(results("tams", launch=FIRST).id) == ["a", "b", "c"]


def test_launches(folder):
    """The newest run of each experiment is given, an older launch, or all launches together."""
    write(folder, row("a", mass=1), row("b", mass=2))
    write(folder, row("a", mass=1, launch=SECOND, measures={"age": 7}))
    assert list(results("tams").launch) == [SECOND, FIRST]
    assert list(results("tams", launch=FIRST).id) == ["a", "b"]
    together = results("tams", everything=True)
    assert list(zip(together.launch, together.id, strict=True)) == [
        (FIRST, "a"),
        (FIRST, "b"),
        (SECOND, "a"),
    ]
    assert list(together.age.isna()) == [True, True, False]
    with pytest.raises(RemexError, match=f"'old'.*{FIRST}, {SECOND}.*--remex-launch=old"):
        results("tams", launch="old")


def test_an_older_launch_leaves_the_table_alone(folder):
    """Collecting an older launch writes its own table only."""
    write(folder, row("a", mass=1, launch=SECOND))
    write(folder, row("a", mass=1, measures={"age": 1}), launch=FIRST)
    assert list(results("tams").launch) == [SECOND]
    assert list(results("tams", launch=FIRST).age) == [1]


def test_only_an_older_launch(folder):
    """A launch's table is found where the sweep has none of its own yet."""
    write(folder, row("a", mass=1), launch=FIRST)
    assert list(results("tams", launch=FIRST).id) == ["a"]
    assert list(results("tams", everything=True).id) == ["a"]
    with pytest.raises(RemexError, match="collect"):
        results("tams")


def test_found_from_below(folder, monkeypatch):
    """A sweep is found by name from any folder of the project, by folder, and by file."""
    write(folder, row("a", mass=1))
    below = folder.parents[1] / "notebooks" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    for which in ("tams", folder, folder / "results.csv", str(folder)):
        assert list(results(which).mass) == [1]


def test_not_found(folder):
    """A sweep without results is refused by name, with the mend."""
    with pytest.raises(RemexError, match=r"'tams'.*--remex-collect"):
        results("tams")


def test_any_csv(tmp_path):
    """Any other CSV can be read by its path."""
    (tmp_path / "mine.csv").write_text("a,b\n1,x\n")
    assert results(tmp_path / "mine.csv").a[0] == 1


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
def test_damage(folder, damage, words):
    """A damaged table is refused with its path and the mend."""
    write(folder, row("a", mass=1), row("b", mass=2))
    damage(folder)
    with pytest.raises(RemexError, match=words):
        results("tams")


def test_a_collect_replaces_a_damaged_table(folder):
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


def test_grid(folder):
    """A grid is indexed by the dimensions, and becomes an xarray data set of that shape."""
    rows = [
        row(f"{mass}-{alpha}", mass=mass, alpha=alpha, y=y, measures={"age": mass * alpha})
        for mass in (10, 15, 20)
        for alpha, y in ((1.8, 0.27), (2.0, 0.27))
    ]
    write(folder, *rows, dimensions=[["mass"], ["y", "alpha"]])
    grid = results("tams", grid=True)
    assert grid.index.names == ["mass", "alpha"]
    data = grid.to_xarray()
    assert dict(data.sizes) == {"mass": 3, "alpha": 2}
    assert float(data.age.sel(mass=20, alpha=1.8)) == 36
    assert float(data.y.sel(mass=10, alpha=2.0)) == 0.27


def test_grid_of_all_launches(folder):
    """All launches together have the launch as a dimension of their own."""
    write(folder, row("a", mass=1, measures={"n": 1}), row("b", mass=2, measures={"n": 2}))
    write(folder, row("a", mass=1, launch=SECOND, measures={"n": None}))
    data = results("tams", grid=True, everything=True).to_xarray()
    assert dict(data.sizes) == {"launch": 2, "mass": 2}
    assert float(data.n.sel(launch=FIRST, mass=2)) == 2
    assert math.isnan(float(data.n.sel(launch=SECOND, mass=2)))


def test_grid_where_no_parameter_tells_alone(folder):
    """A dimension whose parameters tell its values apart only together gets a level of both."""
    pairs = [(1, 1), (1, 2), (2, 2)]
    write(folder, *(row(f"{a}{b}", a=a, b=b) for a, b in pairs), dimensions=[["a", "b"]])
    grid = results("tams", grid=True)
    assert list(grid.index) == ["1, 1", "1, 2", "2, 2"]
    assert list(grid.a) == [1, 1, 2]


def test_grid_of_lists(folder):
    """A parameter whose values are lists can be a dimension."""
    write(folder, row("a", mass=[1, 2]), row("b", mass=[3]))
    assert list(results("tams", grid=True).index) == ["[1, 2]", "[3]"]


def test_no_dimensions(folder):
    """A sweep of one experiment has a grid without dimensions."""
    write(folder, row("a"), dimensions=[])
    assert len(results("tams", grid=True)) == 1


def test_a_crash_leaves_the_old_table(folder, monkeypatch):
    """A write that dies in the middle leaves the table that was there."""
    write(folder, row("a", mass=1))

    def die(_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", die)
    with pytest.raises(OSError, match="disk full"):
        write(folder, row("a", mass=2))
    assert list(results("tams").mass) == [1]


def test_sidecar(folder):
    """The JSON beside the table says what each column is."""
    write(folder, row("a", mass=1, measures={"age": 1.5}))
    sidecar = json.loads((folder / "results.json").read_text())
    assert sidecar["dimensions"] == [["mass"]]
    assert {"name": "mass", "role": "point", "kind": "int"} in sidecar["columns"]
    assert {"name": "age", "role": "measure", "kind": "float"} in sidecar["columns"]


def test_ten_thousand(folder):
    """Ten thousand experiments are read in at most a second."""
    rows = [
        row(i, mass=i / 7, name=f"x{i}", measures={f"m{k}": i * 0.1 + k for k in range(10)})
        for i in range(10_000)
    ]
    write(folder, *rows)
    assert min(timed(lambda: results("tams")) for _ in range(3)) < 1
    table = results("tams")
    assert len(table) == 10_000
    assert table.mass[9999] == 9999 / 7


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
