"""--remex-json with every mode, and an experiment's job in junit files."""

import json
import re

import pytest

MODES = {
    "--remex-plan": {"plan": "NEW", "outcome": "passed"},
    "--remex-submit": {"state": "SUBMITTED", "job_id": "1"},
    "--remex-status": {"state": "COMPLETED", "exit_code": 0, "outcome": "passed"},
    "--remex-log": {"output": {"job.out": "a = 1\n"}},
    "--remex-collect": {"verdict": "PASSED", "measures": {"double": 2}, "cause": ""},
    "--remex-cancel": {"state": "COMPLETED"},
    "--remex-clean": {"outcome": "skipped", "why": "--remex-yes removes it"},
    "--remex-doctor": {"place": "this machine"},
}


def facts(project, *arguments):
    """Return what a mode writes of the first experiment."""
    project.pytest(*arguments, "-k", "1", "--remex-json=facts.json")
    (row,) = json.loads((project.path / "facts.json").read_text())
    return row


def test_every_mode(project):
    """Each mode writes an object for each experiment, with what it knows."""
    for mode, expected in MODES.items():
        row = facts(project, mode)
        assert row["node"] == "sweeps.py::grid[a=1]"
        assert {name: row[name] for name in expected} == expected
        if mode == "--remex-submit":
            project.wait()
        if mode != "--remex-doctor":
            assert row["point"] == {"a": 1}
            assert len(row["commit"]) == 40
    assert {check["name"] for check in row["checks"]} >= {"repository"}


def test_what_was_not_submitted(project):
    """Experiments without a run are in the file too, with their outcome."""
    row = facts(project, "--remex-status")
    assert row["outcome"] == "skipped"
    assert row["why"].startswith("not submitted")


def test_measures_that_json_has_no_word_for(project):
    """A measure that is not finite is written as text, since other tools read the file."""
    project.sweeps("""
        from pytest_remex import sweep
        @sweep({"a": [1]})
        def grid(experiment):
            run = yield
            run.record(rate=float("nan"), top=float("inf"), name="x")
        """)
    project.ran()
    assert facts(project, "--remex-collect")["measures"] == {
        "rate": "nan",
        "top": "inf",
        "name": "x",
    }


@pytest.mark.parametrize("mode", ["--remex-plan", "--remex-collect"])
def test_file_that_cannot_be_written(project, mode):
    """A file that cannot be written is named, and fails the command."""
    project.ran()
    result = project.pytest(mode, "--remex-json", "run.sbatch/facts.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*run.sbatch/facts.json cannot be written (Not a directory): *"])


@pytest.mark.parametrize("mode", ["--remex-status", "--remex-collect"])
def test_junit(project, mode):
    """A junit file has the job's id, state, elapsed time and commit as properties."""
    project.ran()
    project.pytest(mode, "-k", "1", "--junitxml=junit.xml")
    text = (project.path / "junit.xml").read_text()
    properties = dict(re.findall(r'<property name="(\w+)" value="([^"]*)"', text))
    assert properties["remex_job"] == "1"
    assert properties["remex_state"] == "COMPLETED"
    assert float(properties["remex_elapsed"]) < 60
    assert len(properties["remex_commit"]) == 40
