"""Collecting from a script: the same results as the mode collect, without pytest."""

import json
import subprocess
import sys

import pytest

from pytest_remex import results
from pytest_remex.errors import RemexError, RepositoryError, SweepError
from pytest_remex.model import Repo
from pytest_remex.scripting import collect

CHECKED = """
from pytest_remex import sweep

@sweep({"a": [1, 2, "fail"]}, base_config={"z": 1}, fetch=["result.txt"])
def grid(experiment, repo, remote):
    (experiment.path / "input.txt").write_text(f"a = {experiment.config['a']}\\n")
    run = yield
    assert experiment.config["a"] < 2, "too large"
    return {"text": run.read("result.txt"), "z": run.experiment.config["z"]}
"""


@pytest.fixture
def submitted(project):
    """Return a project whose sweep of three experiments has run."""
    project.sweeps(CHECKED)
    project.ran("sweeps.py")
    return project


def test_what_became_of_each_experiment(submitted):
    """A row says what passed, what failed its check, and what job failed, with the reason."""
    table = collect("sweeps.py")["grid"]
    assert list(table.verdict) == ["PASSED", "FAILED", "FAILED"]
    assert list(table.state) == ["COMPLETED", "COMPLETED", "FAILED"]
    assert table.reason[1].startswith("AssertionError: too large")
    assert table.reason[2].startswith(f"job {table.job[2]} ended FAILED")
    assert (table.text[0], table.z[0]) == ("a = 1\n", 1)
    assert table.attrs["measures"] == ["text", "z"]


def test_same_as_the_mode(submitted):
    """The script's results are those of --remex-collect, down to types and absolute paths."""
    mine = collect("sweeps.py")["grid"]
    submitted.pytest("--remex-collect", "sweeps.py")
    theirs = results("grid")
    assert mine.attrs == theirs.attrs
    columns = [name for name in theirs if name != "reason"]
    assert mine[columns].equals(theirs[columns])
    assert (submitted.output / "grid" / "report.html").exists()
    assert collect("sweeps.py", offline=True)["grid"][columns].equals(theirs[columns])


def test_collected_before(submitted):
    """Where the tables hold all that was judged they are returned, and not written again."""
    first = collect("sweeps.py")["grid"]
    written = (submitted.output / "grid" / "results.csv").stat().st_mtime_ns
    again = collect("sweeps.py")["grid"]
    assert again.attrs == first.attrs
    assert again.equals(first)
    assert (submitted.output / "grid" / "results.csv").stat().st_mtime_ns == written


def test_no_pytest(submitted):
    """A script can collect without pytest, and from any folder."""
    program = f"""
import json, sys
sys.modules["pytest"] = sys.modules["_pytest"] = None
from pytest_remex import Repo
from pytest_remex.scripting import collect
folder = {str(submitted.path)!r}
tables = collect(f"{{folder}}/sweeps.py", repo=Repo(folder), output=f"{{folder}}/remex-output")
print(json.dumps({{name: list(table.verdict) for name, table in tables.items()}}))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd="/", check=True, capture_output=True)
    assert json.loads(done.stdout) == {"grid": ["PASSED", "FAILED", "FAILED"]}


def test_python_that_removes_assertions(submitted):
    """`python -O`, under which all checks would pass, is refused."""
    program = "from pytest_remex.scripting import collect; collect('sweeps.py')"
    command = [sys.executable, "-O", "-c", program]
    done = subprocess.run(command, cwd=submitted.path, check=False, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "pytest_remex.errors.SweepError: Python runs with -O or PYTHONOPTIMIZE, which removes "
        "assertions: all checks in sweeps.py would pass; start it without them"
    )
    assert not (submitted.output / "grid").exists()


def test_hooks_of_a_plugin(submitted):
    """A plugin's hooks read outputs and add measures, as in conftest.py."""

    class Plugin:
        def pytest_remex_read(self, path):
            return f"read {path.name}"

        def pytest_remex_measures(self, run):
            return {"added": run.job.exit_code}

    table = collect("sweeps.py", plugins=[Plugin()])["grid"]
    assert (table.text[0], table.added[0]) == ("read result.txt", 0)


def test_a_job_that_has_not_ended(project):
    """An experiment whose job waits has its state as verdict."""
    project.sweeps(CHECKED.replace('"fail"', '"wait"'))
    project.submit("sweeps.py")
    table = collect("sweeps.py", offline=True)["grid"]
    assert list(table.verdict) == ["UNKNOWN"] * 3
    project.release_waiting()
    project.wait()


def test_never_submitted(project):
    """A sweep that has no run is named, with the command that submits it."""
    with pytest.raises(
        RemexError, match=r"sweep grid has not been submitted: use submit.*pytest --remex-submit"
    ):
        collect("sweeps.py")


def test_one_sweep_of_several(submitted):
    """The sweeps are chosen by name, and a name that is none is refused with those there are."""
    submitted.sweeps(CHECKED + CHECKED.replace("def grid", "def other"))
    assert list(collect("sweeps.py", names=["grid"])) == ["grid"]
    with pytest.raises(SweepError, match=r"no sweep 'gird': its sweeps are grid, other"):
        collect("sweeps.py", names=["gird"])


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("experiment, repo", "experiment, tmp_path, repo", "uses the fixture 'tmp_path'"),
        ("@sweep", "@__import__('pytest').mark.xfail\n@sweep", "is marked xfail"),
        ("@sweep", "1 / 0\n@sweep", r"cannot be imported \(ZeroDivisionError"),
    ],
)
def test_what_only_pytest_can_do_is_refused(project, before, after, words):
    """A sweep that needs pytest, and a file that cannot be imported, are refused by name."""
    project.sweeps(CHECKED.replace(before, after, 1))
    with pytest.raises(SweepError, match=words):
        collect("sweeps.py")


def test_another_repository(submitted, tmp_path):
    """A repository without the base commit is an error, not a failed check of each experiment."""
    with pytest.raises(RepositoryError):
        collect("sweeps.py", repo=Repo(tmp_path))


def test_no_such_file(tmp_path):
    """A file that is not there is named."""
    with pytest.raises(SweepError, match=r"nowhere\.py does not exist"):
        collect(tmp_path / "nowhere.py")


def test_nothing_is_left_behind(submitted):
    """The search path is as before, and the repository has no new object or ref."""
    path, refs = list(sys.path), submitted.refs()
    collect("sweeps.py")
    assert sys.path == path
    assert submitted.refs() == refs
    assert submitted.git("status", "--porcelain") == ""
