"""The same grid on another base: --remex-base=REF."""

from __future__ import annotations

import json
import shutil

import pytest
from support.projects import shown_states

from pytest_remex import results, runs

COPIES = """
from pytest_remex import sweep

@sweep({"a": [1, 2, 3]}, fetch=["result.txt"])
def grid(experiment):
    inlist = experiment.path / "input.txt"
    inlist.write_text(f"{inlist.read_text().strip()} {experiment.config['a']}\\n")
    run = yield
    word, a = (run.path / "result.txt").read_text().split()
    run.record(word=word, double=2 * int(a))
"""
ON = "--remex-base=v1.2"


def all_are(word):
    """Return the same word for each experiment of the grid."""
    return dict.fromkeys([f"grid[a={a}]" for a in (1, 2, 3)], word)


@pytest.fixture
def two(empty_project):
    """Return a project with an old version, v1.2, and another one today."""
    empty_project.sweeps(COPIES)
    empty_project.commit(input_txt="old\n")
    empty_project.git("tag", "v1.2")
    empty_project.commit(input_txt="new\n")
    return empty_project


def test_a_grid_on_another_base(two):
    """It runs REF's files with the current sweep, and has its own tables."""
    two.ran()
    two.pytest("--remex-collect").assert_outcomes(passed=3)
    before = (two.output / "grid" / "results.csv").read_text()
    plan = two.pytest("--remex-plan", "-v", ON)
    assert shown_states(plan) == all_are("NEW")
    plan.stdout.fnmatch_lines(["*remex plan, --remex-base=v1.2*", "*nothing was sent: *"])
    assert shown_states(two.submit("-v", ON)) == all_are("SUBMITTED")
    assert shown_states(two.submit("-v", ON)) == all_are("ALREADY SUBMITTED")
    two.wait()
    two.pytest("--remex-status", ON).stdout.fnmatch_lines(["*= 3 completed in *"])
    collected = two.pytest("--remex-collect", ON)
    collected.assert_outcomes(passed=3)
    folder = two.output / "grid" / "bases" / "v1.2"
    collected.stdout.fnmatch_lines([f"report:  {folder}/report.html"])
    assert list(results("grid", base="v1.2")["word"]) == ["old"] * 3
    assert [run.path.name for run in runs("grid", base="v1.2", a=1)] == [
        results(folder)["run_directory"][0]
    ]
    assert list(results(two.output / "grid")["word"]) == ["new"] * 3
    assert (folder / "links" / "a=2_result.txt").read_text() == "old 2\n"
    assert "grid on v1.2" in (folder / "report.html").read_text()
    assert "grid/bases/v1.2/report.html" in (two.output / "index.html").read_text()
    assert (two.output / "grid" / "results.csv").read_text() == before


def test_runs_do_not_appear_without_the_option(two):
    """A grid on another base does not replace a launch, is none for others, and keeps none back."""
    two.ran(ON)
    heads = [event for event in two.events() if "remex" in event]
    assert [head["variant"] for head in heads] == [{"base": "v1.2"}]
    for mode in ("status", "collect", "log", "cancel", "clean"):
        two.pytest(f"--remex-{mode}").assert_outcomes(skipped=3)
    assert not (two.output / "grid" / "results.csv").exists()
    assert shown_states(two.submit("-v")) == all_are("SUBMITTED")
    two.wait()
    assert shown_states(two.submit("-v", ON)) == all_are("ALREADY SUBMITTED")
    two.pytest("--remex-collect").assert_outcomes(passed=3)
    assert list(results(two.output / "grid")["word"]) == ["new"] * 3
    removed = two.pytest("--remex-clean", "--remex-yes", ON)
    removed.stdout.fnmatch_lines(["removed: 3 run directories*", "*next: *--remex-base=v1.2*"])
    two.pytest("--remex-status").stdout.fnmatch_lines(["*= 3 completed in *"])


def test_a_launch_of_another_variant(two):
    """A launch is shown with the option that it was made with, and the message names that."""
    two.ran(ON)
    (path,) = two.record_paths()
    wrong = two.pytest("--remex-status", f"--remex-launch={path.stem}")
    wrong.stdout.fnmatch_lines(["*is of another variant of the grid: add --remex-base=v1.2"])
    right = two.pytest("--remex-status", f"--remex-launch={path.stem}", ON)
    right.stdout.fnmatch_lines(["*= 3 completed in *"])


def test_the_same_experiment(two):
    """A point with the same inputs on both bases runs once, and both know the run."""
    two.git("tag", "v1.3")
    two.commit(README_md="no job reads this\n")
    two.ran()
    assert shown_states(two.submit("-v", "--remex-base=v1.3")) == all_are("ALREADY SUBMITTED")
    assert len(two.run_directories()) == 3
    for options in ([], ["--remex-base=v1.3"]):
        two.pytest("--remex-status", *options).stdout.fnmatch_lines(["*= 3 completed in *"])
        two.pytest("--remex-collect", *options).assert_outcomes(passed=3)
    shutil.rmtree(two.output / "from-cluster", ignore_errors=True)
    two.pytest("--remex-status", ON).assert_outcomes(skipped=3)


def test_a_moved_branch(two):
    """Where REF itself moved, its runs are on another base as those of any branch are."""
    two.git("branch", "eos", "v1.2")
    two.ran("--remex-base=eos")
    two.git("branch", "--force", "eos", "main")
    plan = two.pytest("--remex-plan", "-v", "--remex-base=eos")
    assert shown_states(plan) == all_are("ON ANOTHER BASE")
    sent = two.submit("-v", "--remex-base=eos", "--remex-new-base")
    assert shown_states(sent) == all_are("SUBMITTED")


@pytest.mark.parametrize("mode", ["plan", "submit", "status", "collect", "clean"])
def test_no_such_base(two, mode):
    """A base that does not exist is refused with its value and what to do, and leaves no trace."""
    result = two.pytest(f"--remex-{mode}", "--remex-base=v9")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*'v9' in *: correct --remex-base, or `git fetch` it*main*"])
    assert not two.record_paths()


def test_refused_options(two):
    """An empty base is refused, and so is the option in modes without a base."""
    empty = two.pytest("--remex-plan", "--remex-base=")
    empty.stderr.fnmatch_lines(["*--remex-base='': name a branch, tag or commit"])
    doctor = two.pytest("--remex-doctor", ON)
    doctor.stderr.fnmatch_lines(["*--remex-base can only be used with --remex-cancel or *"])
    two.pytest("sweeps.py", ON).assert_outcomes(passed=3)


STAGES = """
from pytest_remex import sweep

@sweep({"a": [1, 2]}, fetch=["result.txt"], branch="main")
def first(experiment):
    inlist = experiment.path / "input.txt"
    inlist.write_text(f"{inlist.read_text().strip()} {experiment.config['a']}\\n")
    run = yield
    run.record(word=(run.path / "result.txt").read_text())

@sweep({"b": [1]}, after=first)
def second(experiment):
    experiment.upstream.bring("result.txt", "before.txt")
    run = yield
"""


def test_stages(two):
    """The upstream of a sweep is on that base too, whatever its branch= is."""
    two.sweeps(STAGES)
    two.ran("-k", "second", ON)
    two.pytest("--remex-status", "--remex-wait", ON)
    events = two.events()
    (base,) = {event["base"] for event in events if "remex" in event}
    assert base == two.git("rev-parse", "v1.2")
    two.pytest("--remex-collect", ON).assert_outcomes(passed=4)
    table = results(two.output / "second" / "bases" / "v1.2")
    assert list(table["first.word"]) == ["old 1\n", "old 2\n"]
    two.pytest("--remex-status").assert_outcomes(skipped=4)


def test_facts(two):
    """The facts of --remex-json name the variant."""
    two.pytest("--remex-plan", ON, "--remex-json=facts.log")
    facts = json.loads((two.path / "facts.log").read_text())
    assert [each["variant"] for each in facts] == [{"base": "v1.2"}] * 3
