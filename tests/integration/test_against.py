"""A grid judged by its measures on another base: --remex-against=REF."""

from __future__ import annotations

import shutil

import pytest
from support.projects import shown_states

from pytest_remex import results

SWEEP = """
from pytest_remex import sweep

@sweep({"a": range(1, 13)}, fetch=["result.txt"], TOLERANCE)
def grid(experiment):
    inlist = experiment.path / "input.txt"
    inlist.write_text(f"{experiment.config['a']} {inlist.read_text()}")
    run = yield
    a, *moved = (run.path / "result.txt").read_text().split()
    run.record(age=1e7 * (1.02 if f"moved{a}" in moved else 1.0), steps=int(a), word="x")
    run.curve("track", [0, 1], [0, int(a)])
"""
AGAINST = "--remex-against=v1.2"
NODES = [f"grid[a={a}]" for a in range(1, 13)]


@pytest.fixture
def moved(empty_project):
    """Return a project in which a commit moves exactly 3 of 12 points."""
    empty_project.sweeps(SWEEP.replace("TOLERANCE", "tolerance=1e-6"))
    empty_project.commit(input_txt="old\n")
    empty_project.git("tag", "v1.2")
    empty_project.commit(input_txt="moved3 moved7 moved11\n")
    return empty_project


def test_a_grid_that_ran_before_the_change(empty_project):
    """What ran before the change is REF's, and today's side is sent without another option."""
    empty_project.sweeps(SWEEP.replace("TOLERANCE", "tolerance=1e-6"))
    empty_project.commit(input_txt="old\n")
    empty_project.git("tag", "v1.2")
    empty_project.ran()
    empty_project.commit(input_txt="moved3\n")
    assert shown_states(empty_project.submit("-v", AGAINST)) == {
        **dict.fromkeys(NODES, "SUBMITTED"),
        **dict.fromkeys([f"{node} on v1.2" for node in NODES], "ALREADY SUBMITTED"),
    }


def test_a_change_that_moves_three_of_twelve(moved):
    """Submit sends what either side lacks; collect fails what differs, and shows both."""
    moved.ran("-k", "a:1]")
    assert shown_states(moved.pytest("--remex-plan", "-v", AGAINST)) == {
        **dict.fromkeys(NODES, "NEW"),
        "grid[a=1]": "ALREADY SUBMITTED",
        **dict.fromkeys([f"{node} on v1.2" for node in NODES], "NEW"),
    }
    sent = moved.submit("-v", AGAINST)
    assert list(shown_states(sent).values()).count("SUBMITTED") == 23
    assert set(shown_states(moved.submit("-v", AGAINST)).values()) == {"ALREADY SUBMITTED"}
    moved.wait()
    moved.pytest("--remex-status", AGAINST).stdout.fnmatch_lines(
        ["stage grid on v1.2", "stage grid", "*= 24 completed in *"], consecutive=False
    )
    collected = moved.pytest("--remex-collect", AGAINST)
    collected.stdout.fnmatch_lines(
        [
            "12 experiments compared with v1.2: 3 differ, 9 do not",
            "FAILED sweeps.py::grid[[]a=3] - age 1.02e7, on v1.2 1.00e7 (+2.0 %, allowed 1e-6)",
            "FAILED sweeps.py::grid[[]a=7] - *",
            "FAILED sweeps.py::grid[[]a=11] - *",
            "*= 3 failed, 9 passed, 12 on v1.2 in *",
        ]
    )
    assert collected.ret == 1
    folder = moved.output / "grid" / "against" / "v1.2"
    table = results(folder)
    assert list(table["version"]) == ["today"] * 12 + ["v1.2"] * 12
    assert sorted(table["age difference"].dropna())[-3:] == [2e5] * 3
    assert sorted(table["age difference"].dropna())[:9] == [0.0] * 9
    assert "track" in (folder / "report.html").read_text()
    assert "grid/against/v1.2/report.html" in (moved.output / "index.html").read_text()
    # what a collect without the option says is not touched
    assert set(results(moved.output / "grid")["verdict"]) == {"PASSED"}
    assert set(results("grid", base="v1.2")["verdict"]) == {"PASSED"}
    moved.pytest("--remex-collect").assert_outcomes(passed=12)
    retry = moved.pytest("--remex-plan", "-v", "--remex-retry=check")
    assert set(shown_states(retry).values()) == {"ALREADY SUBMITTED"}


def test_a_wider_tolerance(moved):
    """Differences within the current tolerance pass, without running anything again."""
    moved.ran("-k", "a:3", AGAINST)
    moved.sweeps(SWEEP.replace("TOLERANCE", "tolerance={'age': {'abs': 3e5}, 'none': 1}"))
    collected = moved.pytest("--remex-collect", "-k", "a:3", AGAINST)
    assert collected.ret == 0
    collected.stdout.fnmatch_lines(
        ["1 experiment compared with v1.2: 0 differ, 1 do not", "tolerance names *: none"]
    )


def test_points_and_measures_of_one_side(moved):
    """Points that one side lacks are named, and are no failure."""
    moved.ran("-k", "a:1]", AGAINST)
    moved.ran("-k", "a:2]")
    sweep = (
        (moved.path / "sweeps.py")
        .read_text()
        .replace("word=", "**{'new' if len(moved) > 1 else 'old': 1}, word=")
    )
    moved.sweeps(sweep)
    collected = moved.pytest("--remex-collect", "-v", "-k", "a:1] or a:2]", AGAINST)
    collected.stdout.fnmatch_lines(
        [
            "*::grid[[]a=1] on v1.2 PASSED*",
            "*::grid[[]a=2] on v1.2 NOT SUBMITTED*",
            "1 experiment compared with v1.2: 0 differ, 1 do not",
            "1 experiment not compared: no measures on v1.2",
            "measures only here: new",
            "measures only on v1.2: old",
        ]
    )
    assert collected.ret == 10


def test_a_failed_check_on_the_other_base(moved):
    """A check that fails on the other base is reported there, and does not fail this grid."""
    check = SWEEP.replace("TOLERANCE", "tolerance=1") + "    assert 'old' not in moved\n"
    moved.sweeps(check)
    moved.ran("-k", "a:1]", AGAINST)
    collected = moved.pytest("--remex-collect", "-v", "-k", "a:1]", AGAINST)
    assert collected.ret == 0
    collected.stdout.fnmatch_lines(
        [
            "*::grid[[]a=1] on v1.2 FAILED*",
            "*::grid[[]a=1] PASSED*",
            "1 experiment compared with v1.2: 0 differ, 1 do not",
        ]
    )
    assert list(results("grid", base="v1.2")["verdict"]) == ["FAILED"]


def test_the_same_experiments(moved):
    """If both bases have the same inputs, each point runs once, is planned once, and agrees."""
    moved.git("tag", "same")
    moved.commit(README_md="no job reads this\n")
    against = "--remex-against=same"
    plan = moved.pytest("--remex-plan", "-v", "-k", "a:3", against)
    assert shown_states(plan) == {
        "grid[a=3] on same": "NEW",
        "grid[a=3]": "THE SAME AS",
    }
    sent = moved.submit("-v", "-k", "a:3", against)
    assert shown_states(sent) == {
        "grid[a=3] on same": "SUBMITTED",
        "grid[a=3]": "ALREADY SUBMITTED",
    }
    moved.wait()
    assert len(moved.run_directories()) == 1
    assert shown_states(moved.submit("-v", "-k", "a:3")) == {"grid[a=3]": "ALREADY SUBMITTED"}
    for options in ([], [against], ["--remex-base=same"]):
        assert moved.pytest("--remex-collect", "-k", "a:3", *options).ret == 0


REPLICATES = """
from pytest_remex import sweep

@sweep({"a": [1]}, replicates=3, fetch=["result.txt"], tolerance={"x": {"sigma": SIGMA}})
def grid(experiment):
    inlist = experiment.path / "input.txt"
    inlist.write_text(f"{experiment.replicate} {inlist.read_text()}")
    run = yield
    seed, shift = map(float, (run.path / "result.txt").read_text().split())
    run.record(x=seed + shift)
"""


def test_replicates(empty_project):
    """Means are compared in sigma; the point's last replicate has the verdict."""
    project = empty_project
    project.sweeps(REPLICATES.replace("SIGMA", "3"))
    project.commit(input_txt="0.0\n")
    project.git("tag", "v1.2")
    project.commit(input_txt="0.5\n")
    project.ran(AGAINST)
    collected = project.pytest("--remex-collect", AGAINST)
    assert collected.ret == 0
    collected.stdout.fnmatch_lines(["x differs by 0.6 sigma at most, in sweeps.py::grid[[]a=1-r3]"])
    project.sweeps(REPLICATES.replace("SIGMA", "0.5"))
    project.pytest("--remex-collect", AGAINST).stdout.fnmatch_lines(
        ["x 2.50 ± 0.58, on v1.2 2.00 ± 0.58: differs by 0.6 sigma (allowed 0.5)"]
    )


def test_added_replicates(empty_project):
    """The two sides may have different numbers of replicates; all of both count."""
    project = empty_project
    project.sweeps(REPLICATES.replace("replicates=3, ", "").replace("SIGMA", "3"))
    project.commit(input_txt="0.0\n")
    project.git("tag", "v1.2")
    project.commit(input_txt="9.0\n")
    project.ran(AGAINST)
    alone = project.pytest("--remex-collect", AGAINST)
    alone.stdout.fnmatch_lines(["FAILED * - x 10.0, on v1.2 1.00 (+900.0 %, must be equal)"])
    for _ in range(2):
        project.ran("--remex-again", "--remex-base=v1.2", "-k", "not r2")
    plan = project.pytest("--remex-plan", "-v", AGAINST)
    assert shown_states(plan)["grid[a=1-r3]"] == "NOT SUBMITTED"
    assert shown_states(plan)["grid[a=1-r3] on v1.2"] == "ALREADY SUBMITTED"
    # one run here: 10 - 2, in errors of sqrt(1 + 1/3)
    collected = project.pytest("--remex-collect", "-v", AGAINST)
    said = "x 10.0 ± 1, on v1.2 2.00 ± 0.58: differs by 6.9 sigma (allowed 3)"
    collected.stdout.fnmatch_lines(
        [
            "*::grid[[]a=1] PASSED*",
            "*::grid[[]a=1-r3] FAILED*",
            said,
        ]
    )
    assert collected.ret == 1
    table = results(project.output / "grid" / "against" / "v1.2")
    assert list(table["x difference"].dropna()) == [8.0]
    project.ran("--remex-again", AGAINST, "-k", "not r2 and not r3")
    wider = REPLICATES.replace("replicates=3, ", "").replace("SIGMA", "20")
    project.sweeps(wider)
    passed = project.pytest("--remex-collect", AGAINST)
    assert passed.ret == 0
    passed.stdout.fnmatch_lines(
        ["1 experiment compared with v1.2: 0 differ, 1 do not", "x differs by * sigma at most, *"]
    )


def test_replicates_that_became_known_late(empty_project):
    """A client without records says that the next command compares the replicates that it found."""
    project = empty_project
    project.sweeps(REPLICATES.replace("replicates=3, ", "").replace("SIGMA", "20"))
    project.write("pytest.ini", "[pytest]\nremex_runs = runs\n")
    project.commit(input_txt="0.0\n")
    project.git("tag", "v1.2")
    project.commit(input_txt="9.0\n")
    project.submit(AGAINST)
    project.submit("--remex-again", AGAINST)
    project.wait()
    shutil.rmtree(project.output)
    first = project.pytest("--remex-collect", AGAINST)
    first.stdout.fnmatch_lines(
        ["2 added replicates became known only now: the same command again compares all"]
    )
    second = project.pytest("--remex-collect", AGAINST)
    assert "became known" not in second.stdout.str()
    second.stdout.fnmatch_lines(["x differs by 12.7 sigma at most, in *"])


def test_other_modes(moved):
    """Status, log, cancel and clean work on both sides, even if these share a run."""
    moved.edit("sweeps.py", "{inlist.read_text()}", "wait {inlist.read_text()}")
    moved.git("tag", "same")
    moved.commit(README_md="no job reads this\n")
    three = ("-k", "a=1]")
    moved.submit(*three, AGAINST)
    moved.submit(*three, "--remex-against=same")
    assert len(moved.run_directories()) == 2
    both = ["grid[a=1]", "grid[a=1] on v1.2"]
    log = moved.pytest("--remex-log", *three, AGAINST)
    log.stdout.fnmatch_lines([f"=== *::grid[[]a=1]{side} *" for side in (" on v1.2", "")])
    cancelled = moved.pytest("--remex-cancel", "-v", *three, "--remex-against=same")
    assert shown_states(cancelled) == {"grid[a=1] on same": "CANCELLED", "grid[a=1]": "CANCELLED"}
    left = shown_states(moved.pytest("--remex-status", "-v", *three, AGAINST))
    assert left["grid[a=1]"] == "CANCELLED"
    assert left["grid[a=1] on v1.2"] in {"PENDING", "RUNNING"}
    cancelled = moved.pytest("--remex-cancel", "-v", *three, AGAINST)
    assert shown_states(cancelled) == dict.fromkeys(both, "CANCELLED")
    asked = moved.pytest("--remex-clean", *three, AGAINST)
    asked.stdout.fnmatch_lines(["would be removed: 2 run directories*", "next: *(with *v1.2)"])
    cleaned = moved.pytest("--remex-clean", "--remex-yes", *three, AGAINST)
    cleaned.stdout.fnmatch_lines(["removed: 2 run directories*"])
    assert not moved.run_directories()


@pytest.mark.parametrize("mode", ["status", "collect", "log", "cancel", "clean"])
def test_no_such_base(moved, mode):
    """A base that does not exist is refused before anything is done on the other side."""
    moved.edit("sweeps.py", "{inlist.read_text()}", "wait {inlist.read_text()}")
    moved.submit("-k", "a=1]")
    result = moved.pytest(f"--remex-{mode}", "-k", "a=1]", "--remex-against=v9")
    assert result.ret
    result.stdout.fnmatch_lines(["*'v9' in *: correct --remex-against, or *"])
    status = shown_states(moved.pytest("--remex-status", "-v", "-k", "a=1]"))
    assert status["grid[a=1]"] in {"PENDING", "RUNNING"}


def test_refused(moved):
    """A base that does not exist, or that is compared with itself, is refused."""
    unknown = moved.pytest("--remex-submit", "--remex-against=v9")
    unknown.stdout.fnmatch_lines(["*'v9' in *: correct --remex-against, or *"])
    assert not moved.record_paths()
    itself = moved.pytest("--remex-plan", "--remex-base=v1.2", AGAINST)
    itself.stderr.fnmatch_lines(["*--remex-base and --remex-against are both 'v1.2'*"])
    wrong = moved.pytest("--remex-doctor", AGAINST)
    wrong.stderr.fnmatch_lines(["*--remex-against can only be used with --remex-cancel or *"])


CHAIN = """
from pytest_remex import sweep

@sweep()
def build(experiment): ...

def measure(experiment):
    (experiment.path / "input.txt").write_text(f"{experiment.point}")
    yield
    return {"x": 1}

for name in ("one", "two", "three"):
    globals()[name] = sweep({name: [1]}, after=build, name=name)(measure)
"""


def test_several_sweeps_of_which_one_measures_nothing(moved):
    """Only what was measured is compared, and a few lines say where everything is."""
    moved.sweeps(CHAIN)
    moved.ran(AGAINST)
    collected = moved.pytest("--remex-collect", AGAINST)
    assert collected.ret == 0
    pages = moved.output / "index.html"
    collected.stdout.fnmatch_lines_random(
        [f"8 reports and results: {pages}", f"compared: 3 pages: {pages}"]
    )
    assert not (moved.output / "build" / "against").exists()
    assert not [line for line in collected.outlines if line.endswith("results.csv")]
    alone = moved.pytest("--remex-collect", "-k", "build or one")
    alone.stdout.fnmatch_lines(["next: pytest_remex.results('one') in Python gives the table"])
    assert len([line for line in alone.outlines if line.endswith("results.csv")]) == 2
