"""--remex-again: one more replicate of each chosen point, with an id of its own."""

from __future__ import annotations

import shutil

import pytest
from support.projects import shown_states

from pytest_remex import results

SWEEP = """
from pytest_remex import sweep

@sweep({"a": [1, 2]}, fetch=["result.txt"]REPLICATES)
def grid(experiment):
    assert "replicate" not in experiment.config
    (experiment.path / "input.txt").write_text(f"{experiment.config['a']} SEED\\n")
    run = yield
    run.record(value=10 * run.experiment.config["a"] + run.experiment.replicate)
"""
SEED = "{experiment.replicate}"


def write(project, seed=SEED, replicates=""):
    """Write sweeps.py."""
    project.sweeps(SWEEP.replace("SEED", seed).replace("REPLICATES", replicates))


def names_in(result, state):
    """Return the names of the experiments in a state."""
    return [name for name, its in shown_states(result).items() if its == state]


@pytest.mark.parametrize("seed", [SEED, "0"])
def test_again(empty_project, seed):
    """It adds -r2 to each, then -r3 to the chosen; submitting afterwards adds none."""
    project = empty_project
    write(project, seed)
    project.submit()
    plan = project.pytest("--remex-plan", "--remex-again", "-v")
    assert names_in(plan, "NEW") == ["grid[a=1-r2]", "grid[a=2-r2]"]
    assert names_in(project.submit("-v", "--remex-again"), "SUBMITTED") == names_in(plan, "NEW")
    once_more = project.submit("-v", "--remex-again", "-k", "a=1 and not r2")
    assert names_in(once_more, "SUBMITTED") == ["grid[a=1-r3]"]
    names = ["grid[a=1]", "grid[a=2]", "grid[a=1-r2]", "grid[a=1-r3]", "grid[a=2-r2]"]
    assert shown_states(project.submit("-v")) == dict.fromkeys(names, "ALREADY SUBMITTED")
    project.wait()
    assert names_in(project.pytest("--remex-status", "-v"), "COMPLETED") == names
    project.pytest("--remex-collect").assert_outcomes(passed=5)
    project.pytest("--remex-collect", "-k", "a=2 and r2").assert_outcomes(passed=1)
    table = results(project.output / "grid")
    assert dict(zip(table["id"], table["replicate"], strict=True)) == {
        "a=1": 1, "a=2": 1, "a=1-r2": 2, "a=1-r3": 3, "a=2-r2": 2,
    }  # fmt: skip
    spread = results(project.output / "grid", spread=True)
    assert list(spread["value"]) == [12.0, 21.5]
    assert list(spread["value.count"]) == [3, 2]
    assert len(results(project.output / "grid", grid=True).index.names) == 2


def test_above_what_is_stated(empty_project):
    """If replicates= states some, each point gets the next number, not each replicate."""
    project = empty_project
    write(project, replicates=", replicates=2")
    project.submit()
    added = names_in(project.submit("-v", "--remex-again"), "SUBMITTED")
    assert added == ["grid[a=1-r3]", "grid[a=2-r3]"]
    project.wait()
    project.pytest("--remex-collect").assert_outcomes(passed=6)
    assert list(results(project.output / "grid")["replicate"]) == [1, 2, 1, 2, 3, 3]
    project.pytest("--remex-collect", "-k", "r1").assert_outcomes(passed=2)
    assert len(results(project.output / "grid")) == 6
    write(project, replicates=", replicates=3")
    assert set(shown_states(project.submit("-v")).values()) == {"ALREADY SUBMITTED"}
    write(project, replicates="")
    states_now = shown_states(project.pytest("--remex-status", "-v"))
    assert "grid[a=1-r2]" not in states_now
    assert states_now["grid[a=1-r3]"] == "COMPLETED"


def test_another_clone(empty_project):
    """A client that has no records sees what was added, adds the next, and nothing else."""
    project = empty_project
    write(project, "0")
    project.write("pytest.ini", "[pytest]\nremex_runs = runs\n")
    project.submit()
    project.submit("--remex-again")
    project.wait()
    shutil.rmtree(project.output)
    assert (
        shown_states(project.pytest("--remex-submit", "-v"))["grid[a=2-r2]"] == "ALREADY SUBMITTED"
    )
    shutil.rmtree(project.output)
    collect = project.pytest_alone("-p", "xdist", "--remex-collect", "-n", "2")
    collect.assert_outcomes(passed=4)
    assert list(results(project.output / "grid")["replicate"]) == [1, 1, 2, 2]
    shutil.rmtree(project.output)
    chosen = project.pytest("--remex-submit", "--remex-again", "-v", "-k", "a=1")
    assert names_in(chosen, "SUBMITTED") == ["grid[a=1-r3]"]


def test_records_that_were_purged(empty_project):
    """A client finds added replicates in the run directories if no record is left."""
    project = empty_project
    write(project, "0")
    project.write("pytest.ini", "[pytest]\nremex_runs = runs\n")
    project.submit("-k", "a=1")
    project.submit("-k", "a=1", "--remex-again")
    project.wait()
    shutil.rmtree(project.output)
    shutil.rmtree(project.path / "runs" / ".remex" / "launches")
    status = shown_states(project.pytest("--remex-status", "-v"))
    assert status["grid[a=1]"] == status["grid[a=1-r2]"] == "COMPLETED"


def test_interrupted(empty_project):
    """After a crash the same command finishes what it began, and so does a plain submit."""
    project = empty_project
    write(project)
    project.submit()
    whole = project.submit("--remex-again")
    whole.assert_outcomes(passed=2, skipped=2)
    for record in project.path.rglob(project.record_paths()[-1].name):
        lines = record.read_text().splitlines(keepends=True)
        assert "TIDIED" in lines[-1]
        record.write_text("".join(lines[:-1]))
    assert set(shown_states(project.submit("-v", "--remex-again")).values()) == {
        "ALREADY SUBMITTED"
    }
    assert len(names_in(project.submit("-v", "--remex-again"), "SUBMITTED")) == 2


def test_stages(empty_project):
    """A replicate of a stage comes after the same upstream, or after its own one of those."""
    project = empty_project
    after = "\n@sweep({'b': [1]}, after=grid)\ndef later(experiment): ...\n"
    stage = (SWEEP + after).replace("SEED", "0")
    project.sweeps(stage.replace("REPLICATES", ""))
    project.submit()
    added = names_in(project.submit("-v", "--remex-again", "-k", "later and a=1"), "SUBMITTED")
    assert added == ["later[a=1-b=1-r2]"]
    project.sweeps(stage.replace("REPLICATES", ", replicates=2"))
    project.submit()
    added = names_in(project.submit("-v", "--remex-again", "-k", "later and a=2"), "SUBMITTED")
    assert added == ["grid[a=2-r3]", "later[a=2-r3-b=1]"]


def test_parameter_of_that_name(empty_project):
    """A sweep with a parameter called replicate cannot have replicates, and a message says so."""
    project = empty_project
    write(project)
    project.edit("sweeps.py", '"a"', '"replicate"')
    project.edit("sweeps.py", "experiment.config['a']", "experiment.config['replicate']")
    project.edit("sweeps.py", '    assert "replicate" not in experiment.config\n', "")
    result = project.pytest("--remex-submit", "--remex-again")
    result.stdout.fnmatch_lines(["*has a parameter 'replicate', and --remex-again counts by*"])
    assert not project.record_paths()
