"""Paths are relative to the top of the repository, whatever folder pytest is started in."""

import json
import os
import re

import pytest

CONFTEST = """
    import pytest
    from pytest_remex import Remote

    @pytest.fixture(scope="session")
    def remote():
        return Remote(None, runs={runs!r})
"""


@pytest.fixture
def grids(project, monkeypatch):
    """Return a project as in the README: a conftest.py at the top, no ini file, sweeps below."""
    (project.path / "pytest.ini").unlink()
    (project.path / "grids").mkdir()
    (project.path / "sweeps.py").rename(project.path / "grids" / "sweeps.py")
    project.commit()
    project.runs = project.path / "runs"
    project.write("conftest.py", CONFTEST.format(runs=str(project.runs)))
    monkeypatch.chdir(project.path / "grids")
    return project


EVERY_MODE = [
    (),
    *((f"--remex-{mode}",) for mode in ("plan", "submit", "status", "collect", "cancel")),
    ("--remex-doctor",),
    ("--remex-log",),
]


@pytest.mark.parametrize("mode", EVERY_MODE)
def test_unread_conftest(grids, mode):
    """A conftest.py above rootdir that pytest did not read is an error in every mode."""
    (grids.path / "grids" / "pytest.ini").write_text("[pytest]\n")
    result = grids.pytest("sweeps.py", *mode)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*{grids.path}/conftest.py was not read*add --confcutdir={grids.path}"]
    )
    assert not list(grids.path.rglob("remex-output"))


@pytest.mark.parametrize("mode", EVERY_MODE)
def test_conftest_above(grids, mode):
    """Without an ini file, the conftest.py at the top is read from every folder, in every mode."""
    header = "def pytest_report_header():\n        return 'of the top'\n"
    grids.write("conftest.py", f"{CONFTEST.format(runs=str(grids.runs))}\n    {header}")
    result = grids.pytest("sweeps.py", *mode)
    result.stdout.fnmatch_lines(["of the top", "*- remex * on this machine -*"])
    assert result.stderr.str() == ""


def test_conftest_that_names_nothing_of_ours(grids):
    """A conftest.py above rootdir that does not name the package is not read, and is named."""
    grids.write("conftest.py", "from ours import *\n")
    result = grids.pytest("sweeps.py", "--remex-submit")
    result.stderr.fnmatch_lines([f"*{grids.path}/conftest.py was not read*run pytest from*"])


def test_conftest_of_another_user(grids, monkeypatch):
    """In a repository of another user the conftest.py above is not run."""
    grids.write("conftest.py", f"{CONFTEST.format(runs='runs')}\n    print('it was run')\n")
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    result = grids.pytest("sweeps.py")
    result.stderr.fnmatch_lines([f"*{grids.path}/conftest.py was not read*"])
    assert "it was run" not in result.stdout.str()


def test_one_output_folder_from_everywhere(grids, monkeypatch):
    """A submit in the folder of the sweeps and one at the top lead to the same records."""
    grids.submit("sweeps.py")
    assert {event["node"] for event in grids.events() if "node" in event} == {
        f"grids/sweeps.py::grid[a={a}]" for a in (1, 2, 3)
    }
    monkeypatch.chdir(grids.path)
    result = grids.pytest("grids/sweeps.py", "--remex-submit")
    result.stdout.fnmatch_lines(["3 already submitted*"])
    assert len(grids.jobs()) == 3
    grids.wait()
    assert grids.pytest("grids/sweeps.py", "--remex-collect").ret == 0
    before = (grids.output / "grid" / "results.csv").read_bytes()
    monkeypatch.chdir(grids.path / "grids")
    assert grids.pytest("sweeps.py", "--remex-status").ret == 0
    assert grids.pytest("sweeps.py", "--remex-collect", "--confcutdir=..").ret == 0
    assert (grids.output / "grid" / "results.csv").read_bytes() == before


def test_every_mode_names_its_target(project):
    """Dry run, plan, submit, status, collect and cancel say where experiments run."""
    modes = ["", "--remex-plan", "--remex-submit", "--remex-status", "--remex-cancel"]
    for mode in [*modes, "--remex-collect"]:
        result = project.pytest("sweeps.py", *([mode] if mode else []))
        name = mode.removeprefix("--remex-") or "dry run"
        result.stdout.fnmatch_lines([f"*- remex {name} on this machine -*"])


def test_cluster_as_target(project):
    """A plan names the cluster and the runs folder."""
    project.write("pytest.ini", "[pytest]\nremex_host=box\nremex_clone=~/c\nremex_runs=/big/runs\n")
    result = project.pytest("--remex-plan")
    result.stdout.fnmatch_lines(["*- remex plan on box:/big/runs -*"])


def test_output_folder_of_an_earlier_release(grids, monkeypatch):
    """A remex-output below rootdir is used and named; its node ids are relative to rootdir."""
    monkeypatch.chdir(grids.path)
    grids.submit("grids/sweeps.py")
    old = grids.path / "grids" / "remex-output"
    grids.output.rename(old)
    for path in (old / "launches").glob("*.jsonl"):
        text = path.read_text().replace("grids/sweeps.py", "sweeps.py")
        path.write_text(re.sub(r', "crc": "\w+"}', "}", text))  # earlier releases wrote none
    monkeypatch.chdir(grids.path / "grids")
    result = grids.pytest("sweeps.py", "--remex-collect", "--remex-offline", "--confcutdir=..")
    result.stdout.fnmatch_lines([f"using {old}, made by an earlier release*{grids.output}"])
    nodes = {
        json.loads(line).get("node")
        for path in (old / "launches").glob("*.jsonl")
        for line in path.read_text().splitlines()
    }
    assert "sweeps.py::grid[a=1]" in nodes
    assert not grids.output.exists()
    result = grids.pytest("sweeps.py", "--remex-submit", "--confcutdir=..")
    result.stdout.fnmatch_lines(["3 already submitted*"])
