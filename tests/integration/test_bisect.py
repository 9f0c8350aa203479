"""Find the commit that changed a result: --remex-bisect=GOOD..BAD."""

from __future__ import annotations

import re
import subprocess

import pytest

SWEEP = """
from pytest_remex import sweep

@sweep({"mass": [10, 20]}, fetch=["result.txt"], tolerance=1e-6)
def evolve(experiment):
    inlist = experiment.path / "input.txt"
    words = inlist.read_text()
    if "refused" in words:
        raise ValueError("this does not apply")
    inlist.write_text(f"{experiment.config['mass']} {words}")
    run = yield
    words = (run.path / "result.txt").read_text().split()
    run.record(age=1e7 * (1.02 if "moved" in words else 1.0))
    assert "wrong" not in words
"""
CULPRIT = 20


@pytest.fixture
def history(empty_project):
    """Return a project with 32 commits after v1.2, of which one moves the age."""
    empty_project.sweeps(SWEEP)
    return empty_project


def commit(project, count=32, culprit=CULPRIT, end="", **others):
    """Make commits: each has its number; from the culprit on, the age is moved."""
    project.commit(input_txt=f"0 fine{end}\n")
    project.git("tag", "v1.2")
    for number in range(1, count + 1):
        word = others.get(f"n{number}") or ("moved" if number >= culprit else "fine")
        subject = "Use another table" if number == culprit else f"change {number}"
        project.commit(subject, input_txt=f"{number} {word}{end}\n")


def bisect(project, *arguments):
    """Search, for one of the two experiments."""
    return project.pytest("--remex-bisect=v1.2..main", "-k", "mass:10", *arguments)


def test_thirty_two_commits_at_once(history):
    """All are one round; the next command names the commit, and runs nothing again."""
    commit(history, end=" wait")
    first = bisect(history)
    assert first.ret == 10
    first.stdout.fnmatch_lines(["33 experiments submitted", "next: the same command *"])
    assert len(history.run_directories()) == 33
    history.release_waiting()
    history.wait()
    second = bisect(history)
    assert second.ret == 0
    good = history.git("rev-parse", "--short", "v1.2")
    sha = history.git("rev-parse", "--short", f"main~{32 - CULPRIT}")
    date = history.git("log", "-1", "--format=%ad", "--date=short", sha)
    changed = f"first changed by {sha} Use another table ({date})"
    second.stdout.fnmatch_lines([f"*: {changed}: age 1.02e7, on {good} 1.00e7 (+2.0 %, *"])
    assert len(history.run_directories()) == 33
    # the runs are those of each commit, and appear nowhere else
    history.pytest("--remex-status").assert_outcomes(skipped=2)
    sha = history.git("rev-parse", "main~3")
    history.pytest("--remex-status", "-k", "mass:10", f"--remex-base={sha}").stdout.fnmatch_lines(
        ["*= 1 deselected, 1 completed in *"]
    )


def test_rounds(history):
    """With small rounds, one command that waits continues until the commit is found."""
    commit(history)
    found = bisect(history, "--remex-round=3", "--remex-wait")
    assert found.ret == 0
    found.stdout.fnmatch_lines(["*: first changed by * Use another table (*): age 1.02e7*"])
    assert len(history.run_directories()) <= 2 + 3 * 3


def test_a_verdict(history):
    """A check that fails is a change too."""
    commit(history, 4, 9, n3="wrong", n4="wrong")
    found = bisect(history, "--remex-wait")
    found.stdout.fnmatch_lines(["*: first changed by * change 3 (*): FAILED (*), on * PASSED"])
    assert found.ret == 0


def test_commits_that_do_not_run(history):
    """Failing jobs and patches that do not apply are skipped; the remaining commits are named."""
    commit(history, 8, 5, n4="fail", n3="refused")
    found = bisect(history, "--remex-wait")
    assert found.ret == 0
    found.stdout.fnmatch_lines(
        [
            "*: first changed by one of 3 commits: age 1.02e7*",
            "*: * change 3 (*), skipped: *this does not apply*",
            "*: * change 4 (*), skipped: its job ended FAILED",
            "*: * Use another table (*)",
        ]
    )


def test_from_a_commit_on_the_job_fails(history):
    """If the job fails at BAD, the commit is named from which on it does."""
    commit(history, 4, 9, n3="fail", n4="fail")
    found = bisect(history, "--remex-wait")
    assert found.ret == 0
    found.stdout.fnmatch_lines(["*: first changed by * change 3 (*): its job ended FAILED"])


@pytest.mark.parametrize(
    ("word", "commits", "said"),
    [
        ("fail", "main~1..main", "the job fails on * change 3 (*) already: name a GOOD that runs"),
        ("refused", "v1.2..main~1", "* change 3 (*) cannot be judged: *this does not apply*"),
    ],
)
def test_ends_that_do_not_run(history, word, commits, said):
    """If the job fails at GOOD, or there is none at BAD, there is nothing to search for."""
    commit(history, 4, 9, n3=word)
    found = history.pytest(f"--remex-bisect={commits}", "-k", "mass:10", "--remex-wait")
    found.stdout.fnmatch_lines([f"*: {said}"])


def test_nothing_changed(history):
    """If both ends agree, that is said, and nothing else is submitted."""
    commit(history, 3, 9)
    found = bisect(history, "--remex-wait")
    found.stdout.fnmatch_lines(["*: nothing changed: on * and * it PASSED, and all measures agree"])
    assert found.ret == 0


def test_refused(history):
    """Commits that do not exist, in the wrong order, or no range are refused; nothing is sent."""
    commit(history, 2)
    for given, words in {
        "main..v1.2": "*--remex-bisect: 'main' (*) does not come before 'v1.2' (*",
        "v9..main": "*'v9' in *: correct --remex-bisect, or `git fetch` it*",
        "v1.2": "*--remex-bisect='v1.2': name two commits, GOOD..BAD, *",
        "v1.2...main": "*name two commits, GOOD..BAD, *",
    }.items():
        result = history.pytest(f"--remex-bisect={given}")
        result.stderr.fnmatch_lines([words])
    both = history.pytest("--remex-bisect=v1.2..main", "--remex-submit")
    both.stderr.fnmatch_lines(["*--remex-submit and --remex-bisect cannot be combined*"])
    based = history.pytest("--remex-bisect=v1.2..main", "--remex-base=main")
    based.stderr.fnmatch_lines(["*--remex-base can only be used with *"])
    assert not history.record_paths()


def test_a_commit_that_the_sweep_skips(history):
    """A commit on which the patch calls pytest.skip is skipped, and the search ends."""
    history.edit("sweeps.py", 'if "refused" in words:', 'if "skipped" in words: pytest.skip("old")')
    history.edit("sweeps.py", '        raise ValueError("this does not apply")\n', "")
    history.edit("sweeps.py", "from pytest_remex", "import pytest\nfrom pytest_remex")
    commit(history, 4, 3, n2="skipped")
    found = bisect(history, "--remex-wait")
    assert found.ret == 0
    found.stdout.fnmatch_lines(["*: first changed by one of 2 commits*", "*change 2*skipped: old"])


def test_a_merge(history):
    """If a merge made the change, the command is named that finds the commit in its branch."""
    commit(history, 2)
    history.git("checkout", "--quiet", "-b", "side")
    history.commit("Side step", input_txt="2 fine aside\n")
    history.commit("Side culprit", input_txt="2 moved\n")
    history.git("checkout", "--quiet", "main")
    history.commit("Elsewhere", other_txt="o\n")
    history.git("merge", "--quiet", "--no-ff", "--message", "Merge side", "side")
    found = bisect(history, "--remex-wait")
    found.stdout.fnmatch_lines(
        ["*: first changed by * Merge side (*", '*it is a merge: --remex-*"*']
    )
    (asked,) = re.findall(r'--remex-bisect="([^"]+)"', found.stdout.str())
    words = subprocess.run(["sh", "-c", f'echo "{asked}"'], capture_output=True, check=True)
    asked = words.stdout.decode().strip()
    found = history.pytest(f"--remex-bisect={asked}", "-k", "mass:10", "--remex-wait")
    found.stdout.fnmatch_lines(["*: first changed by * Side culprit (*"])
