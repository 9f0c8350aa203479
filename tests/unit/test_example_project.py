"""The example: its simulation has known answers, and its sweep asks for them."""

import importlib.util
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_remex.extensions.mesa import Raw, patch_inlist
from pytest_remex.sbatch.script import parse_header
from pytest_remex.sweep import expand, sweep_of

EXAMPLE = Path(__file__).parents[2] / "example_project"
COARSE = {"step_size": 2e-3, "history_interval": 100}


@pytest.fixture
def sweeps():
    """Return the example's sweep file as a module."""
    spec = importlib.util.spec_from_file_location("example_sweeps", EXAMPLE / "sweeps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def simulate(tmp_path):
    """Return a function that runs the simulation and returns its history and output."""

    def run(**settings):
        for name in ("polytrope.py", "inlist_project"):
            shutil.copy(EXAMPLE / name, tmp_path)
        patch_inlist(tmp_path / "inlist_project", settings)
        done = subprocess.run(
            [sys.executable, "polytrope.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        history = tmp_path / "LOGS" / "history.data"
        return (read(history) if history.exists() else None), done

    return run


def read(path):
    lines = path.read_text().splitlines()
    names, rows = lines[5].split(), [line.split() for line in lines[6:]]
    return [dict(zip(names, map(float, row), strict=True)) for row in rows]


@pytest.mark.parametrize("index", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5])
def test_radius(simulate, sweeps, index):
    """The surface is that of the analytic solutions and the tables."""
    history, done = simulate(polytropic_index=index, **COARSE)
    assert history[-1]["xi"] == pytest.approx(sweeps.RADIUS[index], abs=2e-9)
    assert re.search(r"surface at xi = \d", done.stdout)


def test_uniform_sphere(simulate):
    """For n = 0 every row agrees with the analytic solution, and the density is constant."""
    history, _ = simulate(polytropic_index=0.0, **COARSE)
    assert len(history) > 10
    for row in history:
        assert row["theta"] == pytest.approx(1 - row["xi"] ** 2 / 6, abs=1e-9)
        assert row["mass"] == pytest.approx(row["xi"] ** 3 / 3, rel=1e-9)
        assert row["central_condensation"] == pytest.approx(1)


def test_no_surface(simulate):
    """For n = 5 there is no surface: the model follows the analytic solution to maximum_xi."""
    history, done = simulate(polytropic_index=5.0, maximum_xi=10.0, **COARSE)
    assert "maximum_xi at xi = 10.0" in done.stdout
    for row in history:
        assert row["theta"] == pytest.approx(1 / math.sqrt(1 + row["xi"] ** 2 / 3), abs=1e-9)


def test_layout(simulate, tmp_path):
    """The history has MESA's layout: three lines of header, a blank one, column numbers, names."""
    history, _ = simulate(**COARSE)
    lines = (tmp_path / "LOGS" / "history.data").read_text().splitlines()
    assert lines[0].split() == ["1", "2", "3", "4"]
    assert dict(zip(lines[1].split(), map(float, lines[2].split()), strict=True)) == {
        "polytropic_index": 1.5,
        "step_size": 2e-3,
        "history_interval": 100,
        "maximum_xi": 100,
    }
    assert lines[3] == ""
    assert lines[4].split() == [str(each + 1) for each in range(len(lines[5].split()))]
    assert [row["model_number"] for row in history] == list(range(1, len(history) + 1))


@pytest.mark.parametrize("settings", [{"step_size": -1.0}, {"polytropic_index": Raw("steep")}])
def test_bad_settings(simulate, settings):
    """A setting that cannot be used ends the simulation with a message and an exit code."""
    _, done = simulate(**settings)
    assert done.returncode == 1
    assert "inlist_project" in done.stderr
    assert "Traceback" not in done.stderr


def test_job():
    """The job names its output, which the sweep fetches, and its time limit."""
    header = parse_header((EXAMPLE / "run.sbatch").read_bytes())
    assert (header.name, header.output, header.time_limit) == ("polytrope", "slurm.out", 300)


def test_grid(sweeps):
    """The sweep has at least twelve experiments, all of settings that the inlist has."""
    points = expand(sweep_of(sweeps.polytropes))
    assert len(points) == 20
    assert {name for point in points for name in point} < inlist_names()


def inlist_names():
    text = (EXAMPLE / "inlist_project").read_text()
    return set(re.findall(r"^\s+(\w+) =", text, re.MULTILINE))


def test_inlist_is_patched_in_place(sweeps, tmp_path):
    """The patch changes values only: comments, order and every other line stay."""
    inlist = shutil.copy(EXAMPLE / "inlist_project", tmp_path)
    before = Path(inlist).read_text().splitlines()
    patch_inlist(inlist, expand(sweep_of(sweeps.polytropes))[-1])
    after = Path(inlist).read_text().splitlines()
    assert len(after) == len(before)
    changed = [line for line in after if line not in before]
    assert [line.split()[0] for line in changed] == [
        "polytropic_index",
        "step_size",
        "history_interval",
    ]
