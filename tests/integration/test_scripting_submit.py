"""pytest_remex.scripting.submit: a launch from a plain Python process."""

import csv
import json
import os
import subprocess
import sys

SCRIPT = """
import json
import sys
import warnings

sys.modules["pytest"] = sys.modules["_pytest"] = None  # cannot be imported
from pytest_remex import Remote, Repo
from pytest_remex.errors import RemexError
from pytest_remex.scripting import submit

options = json.loads(sys.argv[1])
warnings.showwarning = lambda warning, *_: print(json.dumps(str(warning)))
try:
    jobs = submit(
        "sweeps.py", repo=Repo("."), remote=Remote(None, runs="remex-output/local"), **options
    )
except RemexError as error:
    print(json.dumps(f"{type(error).__name__}: {error}"))
except ZeroDivisionError as error:
    print(json.dumps(error.__notes__))
else:
    print(json.dumps([[each.node, each.point, each.job, each.new] for each in jobs]))
"""


def submit(project, **options):
    """Run the script in a process of its own; return what it printed, which is no warning."""
    (printed,) = printed_by_submit(project, **options)
    return printed


def printed_by_submit(project, **options):
    """Run the script in a process of its own; return its warnings, then what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", SCRIPT, json.dumps(options)],
        cwd=project.path,
        env={**os.environ, "HOME": str(project.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, done.stderr
    return list(map(json.loads, done.stdout.splitlines()))


def nodes(points, *, new, first=1):
    """Return what a submit of these points returns."""
    return [
        [f"sweeps.py::grid[a={a}]", {"a": a}, str(job), new]
        for job, a in enumerate(points, start=first)
    ]


def test_submit(project):
    """A script submits what pytest would, and pytest's modes know the runs by their node IDs."""
    assert submit(project) == nodes([1, 2, 3], new=True)
    project.wait()
    assert sorted((path / "job.out").read_text() for path in project.run_directories()) == [
        f"a = {a}\n" for a in (1, 2, 3)
    ]
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    project.submit().assert_outcomes(skipped=3)
    assert [event["state"] for event in project.events() if event.get("state") == "RENAMED"] == []


def test_submit_twice(project):
    """An experiment that has a run, of any user, gets no other and is returned with its job."""
    project.submit("-k", "a=1 or a=2")
    assert submit(project) == nodes([1, 2], new=False) + nodes([3], new=True, first=3)
    assert len(project.jobs()) == 3


def test_named_sweeps(project):
    """Only the sweeps named are submitted, and a name that is not there is refused."""
    text = (project.path / "sweeps.py").read_text()
    project.write("sweeps.py", text + text.replace("grid", "other").replace("a = {", "b = {"))
    assert [job[0] for job in submit(project, names=["other"])] == [
        f"sweeps.py::other[a={a}]" for a in (1, 2, 3)
    ]
    assert "no sweep 'third'" in submit(project, names=["third"])
    assert len(project.jobs()) == 3


def test_two_sweeps_of_one_name(project):
    """A script does not submit one of them in place of the other."""
    text = (project.path / "sweeps.py").read_text()
    other = text.replace("@sweep(", '@sweep(name="grid", dimensions=')
    project.write("sweeps.py", text + other.replace("def grid", "def other"))
    assert "has two sweeps with the name 'grid'" in submit(project)
    assert not project.jobs()


RECIPES = """
from pytest_remex import sweep

@sweep({"a": [1, 2, 3]}, recipes=[{}, {"step": 2}, {"step": 3}], fetch=["result.txt"])
def grid(experiment):
    a, step = experiment.config["a"], experiment.recipe.get("step", 1)
    text = f"a = {a}\\nstep = {step}\\n" + ("fail\\n" if (a, step) == (2, 1) else "")
    (experiment.path / "input.txt").write_text(text)
    run = yield
    assert a < 3 or step == 3, f"step {step}"
"""


def test_retry_with_recipes(project):
    """What failed is submitted again, by the next recipe; `check` is for what failed its check."""
    project.sweeps(RECIPES)
    assert submit(project) == nodes([1, 2, 3], new=True)
    project.wait()
    project.pytest("--remex-collect").assert_outcomes(passed=1, failed=2)
    assert [each[3] for each in submit(project)] == [False] * 3
    again = submit(project, retry="failed", names=["grid"])
    assert [each[2:] for each in again] == [["1", False], ["4", True], ["5", True]]
    project.wait()
    project.pytest("--remex-collect").assert_outcomes(passed=2, failed=1)
    assert [each[2:] for each in submit(project, retry="check")][2] == ["6", True]
    project.wait()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    with (project.output / "grid" / "results.csv").open(newline="") as file:
        assert [row["recipe"] for row in csv.DictReader(file)] == ["0", "1", "2"]
    assert [each[3] for each in submit(project, retry="check")] == [False] * 3
    assert "retry='always' is not known: write 'failed' or 'check'" in submit(
        project, retry="always"
    )


def test_a_recipe_without_effect(project):
    """A recipe that makes the same files as the first is refused when it is to be tried."""
    project.sweeps(RECIPES.replace("experiment.recipe.get", "{}.get"))
    submit(project)
    project.wait()
    refused = submit(project, retry="failed")
    assert "recipe 1 of grid[a=1], {'step': 2}, makes the same files" in refused


def test_hooks_say_how_runs_continue(project):
    """`plugins` receive the jobs, and are asked what to list of runs that are retried."""
    project.write("hooks.py", HOOKS)
    program = "import hooks; from pytest_remex import Remote, Repo, scripting; "
    program += "scripting.submit('sweeps.py', repo=Repo('.'), retry='failed', plugins=[hooks], "
    program += "remote=Remote(None, runs='remex-output/local'))"
    told = [
        subprocess.run(
            [sys.executable, "-c", program], cwd=project.path, capture_output=True, text=True,
            timeout=60, check=True,
        ).stdout.split()
        for _ in range(2)
    ]  # fmt: skip
    assert told[0][-1] == "3"
    assert told[1] == ["probed"] * 3


HOOKS = """
def pytest_remex_continue_probe(experiment):
    print("probed")

def pytest_remex_submitted(launch, jobs):
    print(len(jobs))
"""


def test_confirmation(project):
    """More than 1,000 jobs are refused without `yes`, and nothing is sent."""
    project.edit("sweeps.py", "[1, 2, 3]", "range(1001)")
    message = submit(project)
    assert message.startswith("SweepError: this launch asks for 1001 jobs")
    assert project.jobs() == []
    assert project.record_paths() == []


def test_unknown_fixture(project):
    """A sweep function that asks for what only pytest has is refused, and nothing is left."""
    project.edit("sweeps.py", "def grid(experiment)", "def grid(experiment, tmp_path)")
    message = submit(project)
    assert message.startswith("SweepError: sweep grid uses the fixture 'tmp_path'")
    assert project.jobs() == []
    assert not list((project.path / ".git" / "worktrees").glob("*"))


def test_a_patch_that_raises(project):
    """The point whose patch raised is named, and nothing was sent."""
    project.edit("sweeps.py", "    run =", "    1 / (experiment.config['a'] - 2)\n    run =")
    assert submit(project) == ["in the patch of sweeps.py::grid[a=2]"]
    assert project.jobs() == []


def test_unusable_place(project):
    """A fault of a whole batch is raised unchanged, and the next call continues."""
    project.output.mkdir()
    project.runs.write_text("a file, and no folder")
    assert str(project.runs) in submit(project)
    project.runs.unlink()
    assert [job[2] for job in submit(project)] == ["1", "2", "3"]


def test_retry_of_what_was_not_judged(project):
    """Without verdicts of a collect, `check` does not guess: a warning says what to run first."""
    submit(project)
    project.wait()
    warning, jobs = printed_by_submit(project, retry="check")
    assert warning.startswith("3 completed and were not judged by a collect here")
    assert jobs == nodes([1, 2, 3], new=False)


def test_submit_on_another_base(project):
    """Experiments with a run on another base get no second one, unless that is asked for."""
    submit(project)
    project.commit(**{"more.txt": "1"})
    warning, jobs = printed_by_submit(project)
    assert "more.txt" in warning
    assert jobs == nodes([1, 2, 3], new=False)
    assert submit(project, new_base=True) == nodes([1, 2, 3], new=True, first=4)


CHAIN = """
from pytest_remex import sweep

@sweep({"a": [1, 2]})
def first(experiment):
    (experiment.path / "input.txt").write_text(f"fail {experiment.config['a']}\\n")

@sweep({"b": [1]}, after=first)
def second(experiment):
    (experiment.path / "input.txt").write_text(f"b = {experiment.config['b']}\\n")
"""


def test_submit_after_failed_jobs(project):
    """An experiment whose upstream failed is not submitted, and the error says why."""
    project.sweeps(CHAIN)
    assert len(submit(project, names=["first"])) == 2
    project.wait()
    assert submit(project, names=["second"]).startswith(
        "RemexError: sweeps.py::second[a=1-b=1] (and 1 more): sweeps.py::first[a=1] ended FAILED: "
    )
    assert len(project.jobs()) == 2
