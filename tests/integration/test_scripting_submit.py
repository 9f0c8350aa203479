"""pytest_remex.scripting.submit: a launch from a plain Python process."""

import json
import os
import subprocess
import sys

SCRIPT = """
import json
import sys

sys.modules["pytest"] = sys.modules["_pytest"] = None  # cannot be imported
from pytest_remex import Remote, Repo
from pytest_remex.errors import RemexError
from pytest_remex.scripting import submit

options = json.loads(sys.argv[1])
try:
    jobs = submit(
        "sweeps.py", repo=Repo("."), remote=Remote(None, runs="remex-output/local"), **options
    )
except RemexError as error:
    print(json.dumps(f"{type(error).__name__}: {error}"))
else:
    print(json.dumps([[each.node, each.point, each.job, each.new] for each in jobs]))
"""


def submit(project, **options):
    """Run the script in a process of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, json.dumps(options)],
        cwd=project.path,
        env={**os.environ, "HOME": str(project.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


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


def test_unusable_place(project):
    """A fault of a whole batch is raised unchanged, and the next call continues."""
    project.output.mkdir()
    project.runs.write_text("a file, and no folder")
    assert str(project.runs) in submit(project)
    project.runs.unlink()
    assert [job[2] for job in submit(project)] == ["1", "2", "3"]
