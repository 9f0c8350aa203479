"""The results as a DataFrame: found by name, as a grid, soon."""

import math
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from pytest_remex.errors import RemexError
from pytest_remex.names import label
from pytest_remex.tables.frame import results

FIRST, SECOND = "tams_2026_01_01_00_00_00", "tams_2026_02_01_00_00_00"


def test_found_from_below(folder, monkeypatch, write, row):
    """A sweep is found by name from any folder of the project, by folder, and by file."""
    write(folder, row("a", mass=1))
    below = folder.parents[1] / "notebooks" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    for which in ("tams", folder, folder / "results.csv", str(folder)):
        assert list(results(which).mass) == [1]


def test_found_by_any_name(folder, write, row):
    """A sweep is found by its given name, also if its folder has another name."""
    write(folder.with_name(label("my sweep")), row("a", mass=1))
    assert list(results("my sweep").mass) == [1]


def test_not_found(folder):
    """A sweep without results is refused by name, with the fix."""
    with pytest.raises(RemexError, match=r"'tams'.*--remex-collect"):
        results("tams")


def test_any_csv(tmp_path):
    """Any other CSV can be read by its path."""
    (tmp_path / "mine.csv").write_text("a,b\n1,x\n")
    assert results(tmp_path / "mine.csv").a[0] == 1


def test_grid(folder, write, row):
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


def test_grid_of_all_launches(folder, write, row):
    """All launches together have the launch as a dimension of their own."""
    write(folder, row("a", mass=1, measures={"n": 1}), row("b", mass=2, measures={"n": 2}))
    write(folder, row("a", mass=1, launch=SECOND, measures={"n": None}))
    data = results("tams", grid=True, everything=True).to_xarray()
    assert dict(data.sizes) == {"launch": 2, "mass": 2}
    assert float(data.n.sel(launch=FIRST, mass=2)) == 2
    assert math.isnan(float(data.n.sel(launch=SECOND, mass=2)))


def test_grid_where_no_parameter_tells_alone(folder, write, row):
    """A dimension whose parameters identify its values only together gets a level of both."""
    pairs = [(1, 1), (1, 2), (2, 2)]
    write(folder, *(row(f"{a}{b}", a=a, b=b) for a, b in pairs), dimensions=[["a", "b"]])
    grid = results("tams", grid=True)
    assert list(grid.index) == ["1, 1", "1, 2", "2, 2"]
    assert list(grid.a) == [1, 1, 2]


def test_grid_of_lists(folder, write, row):
    """A parameter whose values are lists can be a dimension."""
    write(folder, row("a", mass=[1, 2]), row("b", mass=[3]))
    assert list(results("tams", grid=True).index) == ["[1, 2]", "[3]"]


def test_no_dimensions(folder, write, row):
    """A sweep of one experiment has a grid without dimensions."""
    write(folder, row("a"), dimensions=[])
    assert len(results("tams", grid=True)) == 1


def test_ten_thousand(folder, write, row):
    """Ten thousand experiments are read in at most a second of processor time."""
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
    start = time.process_time()
    call()
    return time.process_time() - start


@pytest.mark.parametrize(
    "before", ["", "import pytest_remex.tables.frame, pytest_remex.tables.rows; "]
)
def test_public_name(before):
    """`pytest_remex.results` is the function, in any order of imports."""
    code = f"{before}from pytest_remex import results; results('tams')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "no results of 'tams'" in done.stderr


def test_shown_in_a_notebook(folder, write, row):
    """A notebook shows states and verdicts in colour, and texts as they are; slices do so too."""
    bad = replace(row("b", mass=2), state="TIMEOUT", verdict="FAILED", reason="<script>x</script>")
    live = replace(row("c", mass=3), state="RUNNING", verdict="RUNNING")
    write(folder, row("a", mass=1), bad, live)
    shown = results("tams")[["mass", "reason", "state", "verdict"]]._repr_html_()
    assert [shown.count(colour) for colour in ("#15803d", "#b91c1c", "#b45309")] == [1, 1, 1]
    assert "<script>" not in shown
    assert "color" not in results("tams")[["mass"]]._repr_html_()
    write(folder, *(row(str(mass), mass=mass) for mass in range(200)))
    assert "203 rows" in results("tams")._repr_html_()
