"""The rows: what a collect puts where, and what it leaves."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pytest_remex.errors import RemexError
from pytest_remex.tables.frame import results
from pytest_remex.tables.rows import Today

FIRST, SECOND = "tams_2026_01_01_00_00_00", "tams_2026_02_01_00_00_00"


def test_columns(folder, write, row):
    """A row has the experiment, its parameters, its measures, and what became of it, in order."""
    write(folder, row("a", mass=10, measures={"age": 1.5}))
    table = results("tams")
    assert list(table) == [
        *("node", "id", "mass", "age", "state", "verdict", "reason", "elapsed", "core_hours"),
        *("job", "commit", "base", "date", "run_directory", "path", "outputs", "launch", "note"),
    ]
    assert table.loc[0, ["node", "state", "job"]].to_list() == [
        "sweeps.py::tams[a]",
        "COMPLETED",
        "123",
    ]
    assert table.attrs == {
        "dimensions": [["mass"]],
        "parameters": ["mass"],
        "measures": ["age"],
        "config": [],
    }
    assert not isinstance(table.index, pd.MultiIndex)


def test_outputs_are_found(folder, monkeypatch, tmp_path, write, row):
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


def test_names_taken(folder, write, row):
    """Parameters and measures with the names of other columns keep separate columns."""
    write(folder, row("a", state="on", mass=1, measures={"mass": 2, "job": 3}))
    table = results("tams")
    assert table.loc[0, ["parameter.state", "mass", "measure.mass", "measure.job"]].to_list() == [
        "on",
        1,
        2,
        3,
    ]
    assert table.state[0] == "COMPLETED"


def test_collecting_a_part_keeps_the_rest(folder, write, row):
    """A row replaces that of its node id; the others stay, until the sweep has them no more."""
    write(folder, row("a", mass=1, measures={"age": 1}), row("b", mass=2, measures={"age": 2}))
    write(folder, row("b", mass=2, measures={"years": 3.5}), row("c", mass=4))
    table = results("tams").set_index("id")
    assert list(table.index) == ["a", "b", "c"]
    assert table.age["a"] == 1
    assert pd.isna(table.age["b"])
    assert table.years["b"] == 3.5
    write(folder, row("c", mass=4), today=Today([{"mass": 2.0}, {"mass": 4}]))
    assert list(results("tams").id) == ["b", "c"]
    assert "age" not in results("tams")
    assert list(results("tams", launch=FIRST).id) == ["a", "b", "c"]


def test_launches(folder, write, row):
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


def test_an_older_launch_leaves_the_table_alone(folder, write, row):
    """Collecting an older launch writes its own table only."""
    write(folder, row("a", mass=1, launch=SECOND))
    write(folder, row("a", mass=1, measures={"age": 1}), launch=FIRST)
    assert list(results("tams").launch) == [SECOND]
    assert list(results("tams", launch=FIRST).age) == [1]


def test_only_an_older_launch(folder, write, row):
    """A launch's table is found if the sweep has none yet."""
    write(folder, row("a", mass=1), launch=FIRST)
    assert list(results("tams", launch=FIRST).id) == ["a"]
    assert list(results("tams", everything=True).id) == ["a"]
    with pytest.raises(RemexError, match="collect"):
        results("tams")


def test_today_s_points(folder, write, row):
    """Rows of points, or of parameters, that the sweep has no more leave its table."""
    write(folder, row("a", mass=1, z=0.1), row("b", mass=2, z=0.1), row("c", mass=3))
    write(folder, row("d", mass=4), today=Today([{"mass": 1}, {"mass": 3.0}, {"mass": 4}]))
    assert list(results("tams").id) == ["c", "d"]
    moved = replace(row("c", mass=3), node="grids/sweeps.py::tams[c]")
    write(folder, moved, today=Today([{"mass": 3}, {"mass": 4}]))
    assert list(results("tams").node) == ["sweeps.py::tams[d]", "grids/sweeps.py::tams[c]"]


def test_the_base_of_an_older_table(folder, write, row):
    """A table that calls the base commit `parent` is read, and then has `base`."""
    write(folder, replace(row("a", mass=1), base="b" * 40))
    for name in ("results.csv", "results.json"):
        path = folder / name
        path.write_text(path.read_text().replace("base", "parent"))
    write(folder, row("b", mass=2))
    assert results("tams").base.to_list() == ["b" * 40, ""]


def test_a_name_that_no_sweep_has(folder, write, row):
    """The message names the sweeps that have results."""
    write(folder, row("a", mass=10))
    with pytest.raises(RemexError, match=r"no results of 'tam' \(there are tams\)"):
        results("tam")
