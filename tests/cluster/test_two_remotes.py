"""One grid on two remotes with names, each by a login of its own."""

from __future__ import annotations

import csv

from support.sshd import HOST

TABLES = """
[remex.remotes.near]
host = {host}
clone = {clone}
runs = {runs}
[remex.remotes.far]
host = {host}
clone = {clone}
runs = {runs}-far
"""
BOTH = """
import pytest

@pytest.fixture(scope="session", params=["near", "far"])
def remote(request, remotes):
    return remotes[request.param]
"""


def test_two_remotes(user, cluster):
    """Each gets the grid, once; status and collect say which, and `--remex-remote` chooses one."""
    project = user.project
    far = project.runs.with_name(f"{project.runs.name}-far")
    far.mkdir()
    user.ini(remex_host="", remex_clone="", remex_runs="")
    ini = user.repository / "pytest.ini"
    tables = TABLES.format(host=HOST, clone=project.clone, runs=project.runs)
    ini.write_text(ini.read_text() + tables)
    user.sweep(1.0, 2.0)
    user.submit("--remex-remote=far")
    assert not project.run_directories()
    assert len([each for each in far.iterdir() if each.name != ".remex"]) == 2
    (user.repository / "conftest.py").write_text(BOTH)
    user.submit()
    again = user.submit()
    assert again.text.count("ALREADY SUBMITTED") == 4
    cluster.wait()
    assert len(project.run_directories()) == 2
    assert len([each for each in far.iterdir() if each.name != ".remex"]) == 2
    user.collect().succeeded()
    with (user.output / "tams" / "results.csv").open() as table:
        assert [row["remote"] for row in csv.DictReader(table)] == ["near", "near", "far", "far"]
