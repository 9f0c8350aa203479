"""Short ids of floats: on the command line, and with launches of an older release."""

import sys

SWEEP = """
    import math
    from pytest_remex import sweep

    @sweep({"a": [math.pi, math.e]}, fetch=["result.txt"])
    def grid(experiment):
        (experiment.path / "input.txt").write_text(f"a = {experiment.config['a']}")
        yield
    """


def test_selected_and_shown_by_short_ids(project):
    """The id of a float is short in node ids, selection and status."""
    project.sweeps(SWEEP)
    project.pytest("sweeps.py", "--remex-submit", "-k", "a=3.142").assert_outcomes(
        passed=1, deselected=1
    )
    project.wait()
    result = project.pytest("sweeps.py", "--remex-status", "-k", "a=3.142")
    assert "a=3.142 " in result.stdout.str()
    subjects = project.git("log", "--all", "--format=%s").splitlines()
    assert "grid a=3.141592653589793" in subjects


def test_older_launches_are_found(project, monkeypatch):
    """A run that was recorded under an id with all digits is submitted, watched and collected."""
    project.sweeps(SWEEP)
    with monkeypatch.context() as older:
        older.setattr(sys.modules["pytest_remex.names"], "short_texts", lambda _: {})
        project.ran("-k", "3.14159")
    assert "a=3.141592653589793" in project.record_paths()[0].read_text()
    again = project.pytest("sweeps.py", "--remex-submit", "-k", "a=3.142")
    again.stdout.fnmatch_lines(["*1 already submitted*"])
    result = project.pytest("sweeps.py", "--remex-collect", "-k", "a=3.142")
    result.assert_outcomes(passed=1, deselected=1)
