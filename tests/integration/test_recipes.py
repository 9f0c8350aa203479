"""Recipes: variants of a patch that are tried in turn if a point fails."""

import csv
import shutil

import pytest

SWEEPS = """
from pytest_remex import sweep

@sweep(
    {"a": ["good", "job", "check", "never"]},
    base_config={"step": 1},
    fetch=["result.txt"],
    recipes=[{}, {"step": 2}, {"step": 3, "extra": "x"}],
)
def grid(experiment):
    values = {**experiment.config, **experiment.recipe}
    text = f"a = {values['a']}, step = {values['step']}\\n"
    fails = {"job": values["step"] < 3, "never": True}.get(values["a"], False)
    (experiment.path / "input.txt").write_text(text + ("fail\\n" if fails else ""))
    run = yield
    assert not ("check" in run.read_text() and "step = 1" in run.read_text())
"""
SWEEPS = SWEEPS.replace("run.read_text()", "(run.path / 'result.txt').read_text()")
MORE = 'recipes=[{}, {"step": 2}, {"step": 3, "extra": "x"}]'


def rows(project):
    """Return the rows of the results by their points."""
    lines = (project.output / "grid" / "results.csv").read_text().splitlines()
    return {row["a"]: row for row in csv.DictReader(lines)}


def sent(result):
    """Return the experiments that a submit sent."""
    lines = [line for line in result.outlines if "SUBMITTED job" in line and "::grid" in line]
    return [line.partition("a=")[2].partition("]")[0] for line in lines if "ALREADY" not in line]


def test_what_failed_is_tried_with_the_next_recipe(empty_project):
    """By plain --remex-retry, for a job and for a check, until it is good or none is left."""
    project = empty_project
    project.sweeps(SWEEPS)
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=1, failed=3)
    assert {point: row["recipe"] for point, row in rows(project).items()} == dict.fromkeys(
        ["good", "job", "check", "never"], "0"
    )
    plan = project.pytest("--remex-plan", "--remex-retry", "-v")
    plan.stdout.fnmatch_lines(
        [
            "*a=good] ALREADY SUBMITTED job 1*",
            "*a=job] RETRY after job 2*",
            "*a=check] RETRY after job 3*",
            "*a=job]  RETRY after job 2, FAILED, with recipe 1",
            "*+a = job, step = 2*",
        ]
    )
    where = project.path.parent / "checkouts"
    project.pytest("--remex-plan", "--remex-retry", f"--remex-checkout={where}")
    left = {path.name: (path / "input.txt").read_text() for path in (where / "grid").iterdir()}
    assert left["a=good"] == "a = good, step = 1\n"
    assert left["a=check"] == "a = check, step = 2\n"
    assert sent(project.submit("--remex-retry", "-v")) == ["job", "check", "never"]
    project.wait()
    project.pytest("--remex-collect").assert_outcomes(passed=2, failed=2)
    project.ran("--remex-retry")
    project.pytest("--remex-collect").assert_outcomes(passed=3, failed=1)
    assert {point: row["recipe"] for point, row in rows(project).items()} == {
        "good": "0",
        "check": "1",
        "job": "2",
        "never": "2",
    }
    assert sent(project.submit("--remex-retry", "-v")) == ["never"]
    assert sent(project.submit("-v")) == []


def test_the_experiment_is_that_of_the_first_recipe(empty_project):
    """However often it was retried, it was submitted; its run is compared with its own patch."""
    project = empty_project
    project.sweeps(SWEEPS)
    project.ran("-k", "a:job")
    project.ran("--remex-retry", "-k", "a:job")
    records = [event for event in project.events() if "fingerprint" in event]
    assert [event.get("recipe", 0) for event in records] == [0, 1]
    assert len({event["fingerprint"] for event in records}) == 1
    assert len({event["commit"] for event in records}) == 2
    assert sent(project.submit("-v", "-k", "a:job")) == []
    result = project.pytest("--remex-collect", "-k", "a:job")
    result.stdout.no_fnmatch_line("*CHANGED SINCE LAUNCH*")
    project.edit("sweeps.py", '{"step": 2}', '{"step": 7}')
    project.ran("--remex-retry", "-k", "a:job")
    result = project.pytest("--remex-collect", "-v", "-k", "a:job")
    result.stdout.fnmatch_lines(["*a=job] PASSED*"])


def test_a_recipe_that_changes_nothing_is_told(empty_project):
    """Dry run and plan try all recipes of a sweep's first experiment."""
    project = empty_project
    project.sweeps(SWEEPS)
    project.pytest("sweeps.py").assert_outcomes(passed=4)
    project.edit("sweeps.py", MORE, 'recipes=[{}, {"stp": 2}]')
    result = project.pytest("--remex-plan")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        ["*recipe 1 of *a=good*'stp': 2*makes the same files as the first*"]
    )


def test_a_check_is_looked_at_before_its_next_recipe(empty_project):
    """A run that completed and was not judged is not sent, and a message says what to do."""
    project = empty_project
    project.sweeps(SWEEPS)
    project.ran("-k", "a:check")
    result = project.submit("--remex-retry", "-v", "-k", "a:check")
    result.stdout.fnmatch_lines(["*a=check] NOT JUDGED job 1*"])


def test_a_purged_run_is_planned_by_the_recipe_that_is_sent(empty_project):
    """A run that completed and whose directory is gone is made again by its own recipe."""
    project = empty_project
    project.sweeps(SWEEPS)
    project.ran("-k", "a:good")
    shutil.rmtree(project.run_directories()[0])
    project.pytest("--remex-collect", "-k", "a:good")
    plan = project.pytest("--remex-plan", "--remex-retry", "-v", "-k", "a:good")
    plan.stdout.fnmatch_lines(["*a=good]  RETRY after job 1", "*+a = good, step = 1*"])
    project.ran("--remex-retry", "-k", "a:good")
    (made,) = project.run_directories()
    assert (made / "input.txt").read_text() == "a = good, step = 1\n"


@pytest.mark.parametrize(
    ("recipes", "said"),
    [
        ("[]", "recipes is empty"),
        ("{'step': 2}", "write a list of dicts"),
        ("['step']", "'step' must be a dict"),
        ("[{}, {}]", "appears twice"),
        ("[{'n': float('nan')}]", "must be a finite number"),
    ],
)
def test_recipes_that_cannot_be_used(empty_project, recipes, said):
    """Recipes that cannot be used are refused when the sweep file is read."""
    empty_project.sweeps(SWEEPS.replace(MORE, f"recipes={recipes}"))
    result = empty_project.pytest("sweeps.py")
    result.stdout.fnmatch_lines([f"*{said}*"])
    assert result.ret != 0


def test_a_recipe_that_raises_leaves_nothing_behind(empty_project):
    """What its patch wrote until then is no part of the next experiment."""
    raising = (
        "    if experiment.recipe:\n        (experiment.path / 'left.txt').write_text('left')\n"
    )
    raising += "        raise ValueError\n"
    empty_project.sweeps(SWEEPS.replace("    values = {", f"{raising}    values = {{", 1))
    result = empty_project.pytest("--remex-plan", "-k", "good or job", "-v")
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.no_fnmatch_line("*+++ left.txt*")


def test_what_comes_after_a_recipe_that_cannot_be_used(empty_project):
    """If the next recipe of an upstream makes the same files, neither stage is sent again."""
    project = empty_project
    project.sweeps(STAGES)
    project.ran()
    jobs = project.jobs()
    again = project.pytest("--remex-submit", "--remex-retry", "-v")
    again.assert_outcomes(failed=2)
    again.stdout.fnmatch_lines(
        [
            "recipe 1 of first, *makes the same files as the first one*",
            "sweeps.py::first, which it comes after, failed*",
        ]
    )
    assert project.jobs() == jobs


STAGES = """
from pytest_remex import sweep

@sweep(recipes=[{}, {"step": 2}])
def first(experiment):
    (experiment.path / "input.txt").write_text("fail\\\\n")

@sweep(after=first)
def second(experiment):
    (experiment.path / "input.txt").write_text("second\\\\n")
"""
