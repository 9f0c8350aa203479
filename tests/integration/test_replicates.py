"""Replicates: each point of a sweep several times, each a run of its own."""

from __future__ import annotations

import pytest
from support.projects import shown_states

from pytest_remex import results

SWEEP = """
from pytest_remex import sweep

@sweep({"a": [1, 2]}, replicates=REPLICATES, base_config={"c": 3}, fetch=["result.txt"])
def grid(experiment):
    assert experiment.config == {"c": 3, "a": experiment.point["a"]}
    seed = SEED
    (experiment.path / "input.txt").write_text(f"{experiment.config['a']} {seed}\\n")
    run = yield
    a, seed = map(int, (run.path / "result.txt").read_text().split())
    run.record(value=10.0 * a + experiment.replicate, word="x")
"""


def write(project, replicates, seed="experiment.replicate"):
    """Write sweeps.py."""
    project.sweeps(SWEEP.replace("REPLICATES", str(replicates)).replace("SEED", seed))


@pytest.mark.parametrize("seed", ["experiment.replicate", "0"])
def test_replicates(empty_project, seed):
    """Each has a job, even if all have the same files; submitting again adds none."""
    project = empty_project
    write(project, 2, seed)
    names = [f"grid[a={a}-r{number}]" for a in (1, 2) for number in (1, 2)]
    assert shown_states(project.submit("-v")) == dict.fromkeys(names, "SUBMITTED")
    assert shown_states(project.submit("-v")) == dict.fromkeys(names, "ALREADY SUBMITTED")
    write(project, 3, seed)
    states = shown_states(project.submit("-v"))
    assert {name for name, word in states.items() if word == "SUBMITTED"} == {
        "grid[a=1-r3]",
        "grid[a=2-r3]",
    }
    project.wait()
    assert len(project.run_directories()) == 6
    assert project.pytest("--remex-collect").ret == 0
    table = results(project.output / "grid")
    assert list(table["replicate"]) == [1, 2, 3, 1, 2, 3]
    spread = results(project.output / "grid", spread=True)
    assert list(spread["a"]) == [1, 2]
    assert list(spread["value"]) == [12.0, 22.0]
    assert list(spread["value.spread"]) == [1.0, 1.0]
    assert list(spread["value.count"]) == [3, 3]
    assert "word" not in spread.columns
    assert spread.attrs["dimensions"] == [["a"]]


def test_more_than_one_later(empty_project):
    """When a sweep gets replicates, its old run is the first replicate."""
    project = empty_project
    write(project, 1, "1")
    assert set(shown_states(project.submit("-v"))) == {"grid[a=1]", "grid[a=2]"}
    write(project, 2, "1")
    states = shown_states(project.submit("-v"))
    assert states["grid[a=1-r1]"] == "ALREADY SUBMITTED"
    assert states["grid[a=1-r2]"] == "SUBMITTED"


def test_another_clone(empty_project):
    """A client that lost its records adds none either: the runs folder knows them."""
    project = empty_project
    write(project, 3, "0")
    project.write("pytest.ini", "[pytest]\nremex_runs = runs\n")
    project.submit()
    (project.output / "launches").rename(project.path / "lost.log")
    states = shown_states(project.submit("-v"))
    assert set(states.values()) == {"ALREADY SUBMITTED"}
    runs = [path.name for path in (project.path / "runs").iterdir()]
    assert len(runs) == 6 + 1  # and .remex


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "'2'"])
def test_refused(empty_project, number):
    """A number of replicates that cannot be meant is refused."""
    write(empty_project, number)
    result = empty_project.pytest("--remex-plan")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*replicates=*: write how many runs each point gets, 1 or more*"])


def test_stages(empty_project):
    """A sweep after one with replicates comes after each of them."""
    project = empty_project
    after = "\n@sweep({'b': [1]}, after=grid)\ndef later(experiment): ...\n"
    project.sweeps(SWEEP.replace("REPLICATES", "2").replace("SEED", "0") + after)
    states = shown_states(project.submit("-v"))
    assert [name for name in states if "later" in name] == [
        f"later[a={a}-r{number}-b=1]" for a in (1, 2) for number in (1, 2)
    ]
    assert set(states.values()) == {"SUBMITTED"}


def test_runs_from_before_replicates(empty_project):
    """Right after `replicates=` is written or deleted, status and collect show the first runs."""
    project = empty_project
    write(project, 1)
    project.ran()
    write(project, 2)
    first = {"grid[a=1-r1]": "COMPLETED", "grid[a=2-r1]": "COMPLETED"}
    second = {"grid[a=1-r2]": "NOT SUBMITTED", "grid[a=2-r2]": "NOT SUBMITTED"}
    assert shown_states(project.pytest("--remex-status", "-v")) == first | second
    project.pytest("--remex-collect").assert_outcomes(passed=2, skipped=2)
    assert list(results(project.output / "grid")["value"]) == [11.0, 21.0]
    project.ran()
    assert len(project.jobs()) == 4
    write(project, 1)
    shown = shown_states(project.pytest("--remex-status", "-v"))
    assert shown == {"grid[a=1]": "COMPLETED", "grid[a=2]": "COMPLETED"}
