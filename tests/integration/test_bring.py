"""A run brings files of its upstream as links or copies, also of a continued run."""

from __future__ import annotations

from support.projects import shown_states

from pytest_remex import results

SWEEPS = """
from pytest_remex import sweep

@sweep({"a": [1]}, fetch=["model/state"])
def first(experiment):
    (experiment.path / "input.txt").write_text(f"first {experiment.config['a']}")

@sweep({"b": [1, 2]}, after=first, fetch=["work/state"])
def second(experiment):
    (experiment.path / "input.txt").write_text(f"second {experiment.config['b']}")
    experiment.upstream.bring("model", "work", copy=COPY)
    run = yield
    before = (run.upstream.path / "model" / "state").read_text()
    after = (run.path / "work" / "state").read_text()
    run.record(lines=after.count("\\n"), before=before.strip())
"""
SCRIPT = """\
#!/bin/sh
#SBATCH -o job.out
#SBATCH -t 00:00:02
if [ -n "$REMEX_COMMAND" ]; then eval "$REMEX_COMMAND"; exit; fi
if [ -d work ]; then
    echo changed >> work/state
    if grep -q stop input.txt && ! [ -e ../fixed ]; then exit 3; fi
    exit 0
fi
mkdir -p model
if grep -q slow input.txt; then echo half > model/state; exec sleep 60; fi
echo whole > model/state
chmod a-w model/state
"""
CONFTEST = """
import pytest

def pytest_remex_continue(run):
    return ["sh", "-c", "echo went on > model/state"]
"""


def write(project, copy="True", **changes):
    """Commit the script, and write sweeps.py."""
    project.commit(run_sbatch=SCRIPT)
    text = SWEEPS.replace("COPY", copy)
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    project.sweeps(text)


def test_copy(empty_project):
    """A job changes only its own copy; if it starts over, it gets a new one."""
    project = empty_project
    write(project, stops=("second {exp", "second stop {exp"))
    project.ran()
    folders = {path.name.split("_")[1]: path for path in project.run_directories()}
    assert (folders["first"] / "model" / "state").read_text() == "whole\n"
    assert not (folders["second"] / "work").is_symlink()
    assert (folders["second"] / "work" / "state").read_text() == "whole\nchanged\n"
    assert set(shown_states(project.pytest("--remex-status", "-v")).values()) == {
        "COMPLETED",
        "FAILED",
    }
    (project.runs / "fixed").touch()
    project.ran("--remex-retry")
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    assert list(results(project.output / "second")["lines"]) == [2, 2]
    assert set(results(project.output / "second")["before"]) == {"whole"}


def test_upstream_that_went_on(empty_project):
    """The files of an upstream that was ended early and continued are those of its end."""
    project = empty_project
    write(project, slow=("first {exp", "first slow {exp"))
    (project.path / "conftest.py").write_text(CONFTEST)
    project.ran()
    states = shown_states(project.pytest("--remex-status", "-v"))
    assert states["first[a=1]"] == "TIMEOUT"
    assert states["second[a=1-b=2]"] == "UPSTREAM FAILED"
    before = project.run_directories()
    retry = shown_states(project.submit("--remex-retry", "-v"))
    assert set(retry.values()) == {"SUBMITTED"}
    project.wait()
    firsts = [path for path in project.run_directories() if "_first_" in path.name]
    assert len(firsts) == 1
    assert firsts[0] in before
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    assert set(results(project.output / "second")["before"]) == {"went on"}


OTHER = """
from pytest_remex import Remote
import pytest

@pytest.fixture(scope="session")
def remote():
    return Remote(None, runs=RUNS)
"""
LATER = """
from pytest_remex import sweep
from sweeps import first

@sweep(after=first)
def later(experiment):
    (experiment.path / "input.txt").write_text("later")
"""


def test_another_remote(empty_project):
    """A stage that runs elsewhere than its upstream is refused at plan, and so is its submit."""
    project = empty_project
    write(project)
    project.write("pytest.ini", "[pytest]\npythonpath = .\n")
    project.write("more/later_sweep.py", LATER)
    runs = repr(str(project.path / "elsewhere"))
    project.write("more/conftest.py", OTHER.replace("RUNS", runs))
    plan = project.pytest("--remex-plan", "more", "sweeps.py")
    assert plan.ret == 1
    said = "it runs on another remote than sweeps.py::first?a=1?, which it comes after"
    plan.stdout.fnmatch_lines([f"submit would be refused: 1 experiment: {said}*"])
    submit = project.pytest("--remex-submit", "more/later_sweep.py")
    submit.stdout.fnmatch_lines([f"*not submitted: {said}*"])


def test_remote_of_a_folder(empty_project):
    """An upstream that is added runs where the conftest.py of its own folder says."""
    project = empty_project
    write(project)
    project.write("pytest.ini", "[pytest]\npythonpath = .\n")
    runs = repr(str(project.path / "elsewhere"))
    first = (project.path / "sweeps.py").read_text().partition("@sweep({'b'")[0]
    (project.path / "sweeps.py").unlink()
    project.write("up/first_sweep.py", first.partition('@sweep({"b"')[0])
    project.write("down/later_sweep.py", LATER.replace("from sweeps", "from up.first_sweep"))
    for folder in ("up", "down"):
        project.write(f"{folder}/conftest.py", OTHER.replace("RUNS", runs))
    submit = project.pytest("--remex-submit", "-v", "down")
    submit.stdout.fnmatch_lines(["up/first_sweep.py::first?a=1? SUBMITTED*"])
    submit.assert_outcomes(passed=2)
    assert len([*(project.path / "elsewhere").glob("*_later_*")]) == 1


def test_a_brought_link_in_fetch(empty_project):
    """If `fetch` names a brought file, which is a link, the message says where to fetch it."""
    write(
        empty_project,
        copy="False",
        fetch=('fetch=["work/state"]', 'fetch=["mine"]'),
        bring=('bring("model", "work"', 'bring("model/state", "mine"'),
    )
    empty_project.ran("-k", "b=1")
    collected = empty_project.pytest("--remex-collect", "-k", "b=1")
    collected.stdout.fnmatch_lines(
        ["*output mine is a link to model/state of sweeps.py::first?a=1?: fetch model/state in *"]
    )


def test_an_upstream_whose_directory_is_not_read(empty_project, tmp_path_factory):
    """What cannot be brought is not taken for what the upstream did not write."""
    write(empty_project)
    empty_project.ran("-k", "first")
    (run,) = empty_project.run_directories()
    archived = run.rename(tmp_path_factory.mktemp("archive") / run.name)
    run.symlink_to(archived)
    refused = empty_project.pytest("--remex-submit")
    refused.assert_outcomes(skipped=1, failed=2)
    refused.stdout.fnmatch_lines(["*model cannot be brought from there: *is a link, and links*"])
    assert "--remex-retry=all" not in refused.stdout.str()
    run.unlink()
    archived.rename(run)
    empty_project.submit().assert_outcomes(skipped=1, passed=2)
