"""--remex-submit: words, records, run directories, and what is not submitted twice."""

import errno
import json
import os
import re
from pathlib import Path

import pytest

CONFTEST = """
import pytest
from pytest_remex import Remote, Repo

@pytest.fixture(scope="session")
def repo():
    return Repo("other")

@pytest.fixture(scope="session")
def remote():
    return Remote(None, runs="{runs}")
"""


def states(project):
    """Return the states in the launch records, in order, without repetitions."""
    return list(dict.fromkeys(event.get("state", "head") for event in project.events()))


def test_record(project):
    """One launch makes one record: the sweep, the base commit, then a line for each event."""
    project.submit()
    head, *events = project.events()
    assert re.fullmatch(r"grid_\d{4}(_\d\d){5}", head["launch"])
    assert head["base"] == project.git("rev-parse", "HEAD")
    assert (head["sweep"], head["branch"], head["base_config"]) == ("grid", "main", {})
    assert head["fetch"] == ["result.txt"]
    assert states(project) == [
        "head", "COMMITTED", "PUSHING", "PUSHED", "PLACED", "SUBMITTING", "HELD", "RELEASED",
        "TIDIED",
    ]  # fmt: skip
    committed = [event for event in events if event["state"] == "COMMITTED"]
    assert [event["point"] for event in committed] == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert [event["node"] for event in committed] == [f"sweeps.py::grid[a={a}]" for a in (1, 2, 3)]


def test_run_directory(project):
    """A run directory is named by branch, sweep, time and sha, and holds the commit's files."""
    project.ran("-k", "a=2")
    (folder,) = project.run_directories()
    assert re.fullmatch(r"main_grid_time_\d{4}(_\d\d){5}_sha_[0-9a-f]{12}", folder.name)
    assert (folder / "input.txt").read_text() == "a = 2\n"
    assert (folder / "notes/about").read_text() == "a tiny simulation\n"
    about = json.loads((folder / ".remex/run.json").read_text())
    assert about["sha"].startswith(folder.name[-12:])
    assert about["parent"] == project.git("rev-parse", "HEAD")
    assert about["config"] == {"a": 2}
    assert (folder / ".remex/job").read_text().strip() == "1"


def test_commits(project):
    """Each experiment is one commit on the base, and the keep-ref reaches them all."""
    project.submit()
    (ref,) = (name for name in project.refs() if name.startswith("refs/remex/"))
    shas = project.committed()
    parents = project.git("show", "-s", "--format=%P", ref).split()
    assert parents == shas
    for number, sha in enumerate(shas, start=1):
        assert project.git("show", "-s", "--format=%P", sha) == project.git("rev-parse", "HEAD")
        assert project.git("show", f"{sha}:input.txt") == f"a = {number}"
        assert f"grid a={number}" in project.git("show", "-s", "--format=%s", sha)


def test_two_sweeps(project):
    """Each sweep of a file is a separate launch."""
    text = (project.path / "sweeps.py").read_text()
    second = text.replace("grid", "other").replace("a = {", "b = {")
    project.write("sweeps.py", text + second)
    project.submit().assert_outcomes(passed=6)
    assert sorted(path.name[:5] for path in project.record_paths()) == ["grid_", "other"]


def test_branch(project):
    """branch= names the base commit, whatever is checked out."""
    project.git("branch", "other", "HEAD")
    base = project.git("rev-parse", "HEAD")
    project.commit(notes_txt="later\n")
    project.edit("sweeps.py", "fetch=", 'branch="other", fetch=')
    project.submit()
    head = project.events()[0]
    assert (head["branch"], head["base"]) == ("other", base)
    assert all(folder.name.startswith("other_grid_") for folder in project.run_directories())


def test_fixtures_configure(project):
    """Overriding the fixtures repo and remote in conftest.py is how to configure."""
    runs = project.path / "elsewhere"
    project.git("clone", "--quiet", str(project.path), "other")
    project.write("conftest.py", CONFTEST.format(runs=runs))
    project.submit().assert_outcomes(passed=3)
    assert len([path for path in runs.iterdir() if path.name.startswith("main_grid")]) == 3
    assert any(
        name.startswith("refs/remex/")
        for name in project.git(
            "for-each-ref", "--format=%(refname)", folder=project.path / "other"
        ).split()
    )
    assert not any(name.startswith("refs/remex/") for name in project.refs())


def test_confirmation(project):
    """Above remex_confirm jobs nothing is submitted without --remex-yes, and the cost is shown."""
    project.write("pytest.ini", "[pytest]\nremex_confirm = 2\n")
    result = project.pytest("--remex-submit")
    assert result.ret != 0
    result.stdout.fnmatch_lines(
        ["*launch asks for 3 jobs*0.25 core-hours*, above remex_confirm = 2: add --remex-yes*"]
    )
    assert project.jobs() == []
    project.submit("--remex-yes").assert_outcomes(passed=3)


def test_hook(project):
    """The hook pytest_remex_submitted gets the submitted jobs, by launch and node id."""
    project.write(
        "conftest.py",
        """
        def pytest_remex_submitted(launch, jobs):
            print("TOLD", launch, sorted(jobs.items()))
        """,
    )
    result = project.submit("-s", "-k", "a=1")
    result.stdout.fnmatch_lines(["*TOLD grid_* [[]('sweeps.py::grid[[]a=1]', '1')]*"])


def test_array(project):
    """--remex-array submits equal headers as one job array; each task is an experiment."""
    result = project.submit("--remex-array=1", "-v")
    result.stdout.fnmatch_lines(["*a=1] SUBMITTED job 1_0*", "*a=3] SUBMITTED job 1_2*"])
    project.wait()
    assert project.jobs() == ["1"]
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    project.submit("--remex-array").assert_outcomes(skipped=3)


@pytest.mark.parametrize("patch", ["raise ValueError('no such mass')", "assert 1 == 2"])
def test_patch_that_fails(empty_project, patch):
    """A patch that raises fails only its experiment, and shows only the user's lines."""
    empty_project.sweeps(f"""
        from pytest_remex import sweep
        @sweep({{"a": [1, 2]}})
        def grid(experiment):
            (experiment.path / "input.txt").write_text(str(experiment.config["a"]))
            if experiment.config["a"] == 1:
                {patch}
        """)
    result = empty_project.pytest("--remex-submit")
    result.assert_outcomes(passed=1, failed=1)
    assert "pytest_remex/" not in result.stdout.str()
    assert len(empty_project.jobs()) == 1


def test_jobs_outlive_pytest(empty_project):
    """A job continues after pytest has ended, with the #SBATCH header's name, output and limit."""
    empty_project.commit(
        run_sbatch="""\
        #!/bin/sh
        #SBATCH -J named
        #SBATCH --output=%x-%j.txt
        #SBATCH -t 1
        sleep 0.5
        echo "$SLURM_JOB_ID $SLURM_JOB_NAME $SLURM_SUBMIT_DIR"
        """
    )
    empty_project.sweeps("from pytest_remex import sweep\n@sweep()\ndef one(): pass\n")
    assert empty_project.pytest_alone("--remex-submit").ret == 0
    empty_project.wait()
    (folder,) = empty_project.run_directories()
    assert (folder / "named-1.txt").read_text() == f"1 named {folder}\n"


def test_record_that_is_lost_at_the_end(project, monkeypatch):
    """A disk that takes the record's last lines and cannot keep them is named in a warning."""
    sync = os.fsync

    def full_at_the_end(file):
        path = Path(f"/proc/self/fd/{file}")
        if path.is_file() and b"TIDIED" in path.read_bytes():
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        sync(file)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full_at_the_end)
        text = project.submit().stdout.str()
    assert "cannot be written (Disk quota exceeded): free some space there, and run the" in text
    assert "Traceback" not in text
    project.submit().stdout.fnmatch_lines(["*3 already submitted*"])


def test_short_summary_of_skips(project):
    """-rs names each experiment with its own job."""
    project.submit()
    result = project.pytest("--remex-submit", "-rs")
    result.stdout.fnmatch_lines(
        [
            f"ALREADY SUBMITTED job {n}*sweeps.py::grid[[]a={n}] *job {n} in launch*"
            for n in (1, 2, 3)
        ]
    )
