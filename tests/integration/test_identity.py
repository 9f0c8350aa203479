"""An experiment is its inputs: what was submitted is not submitted again."""

import json
import shutil
import subprocess
import sys

import pytest

FAILING_AT_2 = "'fail\\n' if experiment.config['a'] == 2 else f\"a = {experiment.config['a']}\\n\""


def test_submitting_twice(project):
    """The same command again submits nothing, and says what was submitted before."""
    project.submit().assert_outcomes(passed=3)
    result = project.submit("-v", "-rs")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(
        ["*a=2] ALREADY SUBMITTED job 2*", "*a=2] - Skipped: *job 2 in launch grid_*"]
    )
    assert project.jobs() == ["1", "2", "3"]
    assert len(project.record_paths()) == 1


def test_submitting_after_the_end(project):
    """An experiment that ran well is not run again."""
    project.ran()
    project.submit().assert_outcomes(skipped=3)
    project.submit("--remex-retry").assert_outcomes(skipped=3)


def test_a_grid_grows(project):
    """When a dimension gets more values, only the new points run."""
    project.submit()
    project.edit("sweeps.py", "[1, 2, 3]", "[0, 1, 2, 3, 4]")
    project.submit().assert_outcomes(passed=2, skipped=3)
    assert len(project.jobs()) == 5


def test_equal_points_of_two_sweeps(project):
    """Two sweeps of one command that have points of equal inputs each have runs of them."""
    text = (project.path / "sweeps.py").read_text()
    (project.path / "others.py").write_text(text.replace("def grid(", "def other("))
    files = ("sweeps.py", "others.py")
    project.pytest(*files, "--remex-submit").assert_outcomes(passed=6)
    project.pytest(*files, "--remex-submit").assert_outcomes(skipped=6)
    status = project.pytest(*files, "--remex-status", "--remex-wait")
    status.stdout.fnmatch_lines(["*= 6 completed in *"])


def test_a_sweep_grows_into_another(project):
    """If two sweeps have the same point, each has its own run of it."""
    text = (project.path / "sweeps.py").read_text()
    other = text.replace("def grid(", "def other(")
    (project.path / "others.py").write_text(other.replace("[1, 2, 3]", "[4]"))
    project.pytest("sweeps.py", "others.py", "--remex-submit").assert_outcomes(passed=4)
    project.edit("others.py", "[4]", "[3, 4]")
    plan = project.pytest("others.py", "--remex-plan", "-v")
    plan.stdout.fnmatch_lines(["*a=3] NEW*", "*a=4] ALREADY SUBMITTED*"])
    project.pytest("others.py", "--remex-submit").assert_outcomes(passed=1, skipped=1)
    for file, count in [("sweeps.py", 3), ("others.py", 2)] * 2:
        project.pytest(file, "--remex-submit").assert_outcomes(skipped=count)
        status = project.pytest("sweeps.py", "others.py", "--remex-status", "--remex-wait")
        status.stdout.fnmatch_lines(["*= 5 completed in *"])


def test_a_renamed_sweep_comes_back(project):
    """A run that a sweep was renamed with is found by both names, should the old one come back."""
    project.ran()
    old = (project.path / "sweeps.py").read_text()
    project.edit("sweeps.py", "def grid", "def new_name")
    project.submit().assert_outcomes(skipped=3)
    project.sweeps(old)
    (project.path / "others.py").write_text(old.replace("def grid", "def new_name"))
    files = ("sweeps.py", "others.py")
    project.pytest(*files, "--remex-submit").assert_outcomes(skipped=6)
    for file in files * 2:
        project.pytest(file, "--remex-submit").assert_outcomes(skipped=3)
        status = project.pytest(*files, "--remex-status")
        status.stdout.fnmatch_lines(["*= 6 completed in *"])
    assert len(project.jobs()) == 3


def test_renamed_sweep_on_another_base(project):
    """The runs of a renamed sweep are named if the base moves after that."""
    project.ran()
    project.edit("sweeps.py", "def grid", "def new_name")
    project.submit().assert_outcomes(skipped=3)
    project.commit(notes_txt="more\n")
    result = project.submit()
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*; since then changed: notes.txt"])


def test_a_sweep_renamed_while_the_base_moved(project):
    """Runs that made the same files for a sweep that is gone are named; with others it is new."""
    project.ran()
    project.commit(notes_txt="more\n")
    project.edit("sweeps.py", "def grid", "def new_name")
    result = project.submit()
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*; since then changed: notes.txt"])
    project.edit("sweeps.py", "a = {experiment", "b = {experiment")
    project.pytest("--remex-plan").stdout.fnmatch_lines(["*submit asks for 3 jobs*"])
    # a sweep that still exists keeps its runs
    text = (project.path / "sweeps.py").read_text().replace("b = {", "a = {")
    project.sweeps(text.replace("new_name", "grid") + text.replace("new_name", "another"))
    plan = project.pytest("--remex-plan", "-k", "another")
    plan.stdout.fnmatch_lines(["*submit asks for 3 jobs*"])


def test_renamed_sweep(project):
    """A sweep that is renamed keeps its runs."""
    project.ran()
    project.edit("sweeps.py", "def grid", "def new_name")
    project.submit().assert_outcomes(skipped=3)
    result = project.pytest("--remex-collect")
    result.assert_outcomes(passed=3)
    assert (project.output / "new_name/results.csv").exists()


def test_renamed_file(project):
    """A sweep file that is renamed keeps its runs."""
    project.ran()
    (project.path / "sweeps.py").rename(project.path / "my_sweep.py")
    project.submit().assert_outcomes(skipped=3)
    project.pytest("--remex-collect").assert_outcomes(passed=3)


def test_renamed_ids(project):
    """Experiments whose parameter is renamed keep their runs: the tree counts."""
    project.ran()
    project.write("sweeps.py", (project.path / "sweeps.py").read_text().replace('"a"', '"mass"'))
    project.write(
        "sweeps.py", (project.path / "sweeps.py").read_text().replace("['a']", "['mass']")
    )
    project.submit().assert_outcomes(skipped=3)
    project.pytest("--remex-collect").assert_outcomes(passed=3)


def test_commented_out_points(project):
    """Points that left the sweep and come back are known again."""
    project.submit()
    project.edit("sweeps.py", "[1, 2, 3]", "[2]")
    project.submit().assert_outcomes(skipped=1)
    project.edit("sweeps.py", "[2]", "[1, 2, 3]")
    project.submit().assert_outcomes(skipped=3)


@pytest.mark.parametrize("retry", [(), ("--remex-retry",)])
@pytest.mark.parametrize("name", ["README.md", "docs/how.txt", "sweeps.py", "conftest.py"])
def test_commit_of_a_control_file(project, name, retry):
    """A commit that changes only files that no job reads makes nothing new."""
    project.ran()
    project.pytest("--remex-collect").assert_outcomes(passed=3)
    project.write(
        name,
        (project.path / name).read_text() + "\n# more\n" if name == "sweeps.py" else "# more\n",
    )
    project.git("add", "--force", name)
    project.git("commit", "--quiet", "--message", "change")
    plan = project.pytest("--remex-plan", *retry)
    plan.stdout.fnmatch_lines(["*nothing to send; 3 already submitted; the run directories of*"])
    project.submit(*retry).assert_outcomes(skipped=3)
    assert len(project.jobs()) == 3
    project.pytest("--remex-collect").assert_outcomes(passed=3)


def test_commit_of_a_file_that_is_no_declared_input(project):
    """With declared inputs a file that no job reads makes nothing new, and is not placed."""
    project.edit("sweeps.py", "fetch=", 'inputs=["input.txt"], fetch=')
    project.ran()
    for run in project.run_directories():
        assert sorted(path.name for path in run.iterdir()) == [
            ".remex", "input.txt", "job.out", "result.txt", "run.sbatch"
        ]  # fmt: skip
    project.commit(unread_txt="more\n")
    project.submit().assert_outcomes(skipped=3)
    project.edit("run.sbatch", "cat input.txt", "cat input.txt  # shown")
    project.commit()
    result = project.submit()
    result.stdout.fnmatch_lines(["*since then changed: run.sbatch", "not sent: *"])
    project.pytest("--remex-collect").assert_outcomes(passed=3)


def test_a_corrected_script(project):
    """Where the earlier runs failed, plan and submit say so, and name what sends them again."""
    project.edit("run.sbatch", "cat input.txt", "grep -v 3 input.txt || exit")
    project.commit()
    project.ran()
    project.pytest("--remex-status").assert_outcomes(failed=1)
    project.edit("run.sbatch", "grep -v 3 input.txt || exit", "cat input.txt")
    project.commit()
    message = "2 of these 3 completed, and 1 more failed, on base *; since then changed: run.sbatch"
    fix = "not sent: --remex-retry sends what failed, --remex-new-base sends them on *"
    for mode in ("--remex-plan", "--remex-submit"):
        project.pytest(mode).stdout.fnmatch_lines([message, fix])
    project.ran("--remex-retry")
    assert len(project.jobs()) == 4
    project.pytest("--remex-collect").assert_outcomes(passed=3)


IMPORTING = """
import subprocess, sys
from pytest_remex import sweep

@sweep({"a": [1, 2]}, fetch=["result.txt"])
def grid(experiment):
    subprocess.run([sys.executable, "setup.py", str(experiment.config["a"])], check=True)
"""


@pytest.mark.parametrize("tracked", [False, True])
def test_a_patch_that_imports(empty_project, monkeypatch, tracked):
    """What Python compiles for a patch, with the time of its source in it, makes nothing new."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    project = empty_project
    project.sweeps(IMPORTING)
    project.write("helper.py", "def write(a):\n    open('input.txt', 'w').write(f'a = {a}\\n')\n")
    project.write("setup.py", "import sys, helper\nhelper.write(sys.argv[1])\n")
    project.write(".gitignore", "")
    if tracked:
        subprocess.run([sys.executable, "setup.py", "0"], cwd=project.path, check=True)
        compiled = list((project.path / "__pycache__").iterdir())
    project.git("add", "--all")
    project.git("commit", "--quiet", "--message", "Set up by a helper")
    project.submit().assert_outcomes(passed=2)
    if tracked:
        project.write("__pycache__/" + compiled[0].name, "newer")
    plan = project.pytest("--remex-plan")
    plan.stdout.fnmatch_lines(["*nothing to send; 2 already submitted*"])
    if tracked:
        plan.stdout.fnmatch_lines(["__pycache__: git tracks*: git rm -r --cached __pycache__, *"])
    else:
        plan.stdout.no_fnmatch_line("*__pycache__*")
    project.submit().assert_outcomes(skipped=2)


def test_changed_source(project):
    """A base with changed inputs is reported, and nothing is sent without consent."""
    project.ran("-k", "a=1 or a=2")
    base = project.git("rev-parse", "--short=7", "HEAD")
    project.pytest("--remex-collect").assert_outcomes(passed=2, skipped=1)
    project.commit(notes_txt="more\n")
    message = f"2 of these 3 completed on base {base}; since then changed: notes.txt"
    fix = f'not sent: --remex-new-base sends them on *; branch="{base}" in *remex_control'
    plan = project.pytest("--remex-plan")
    plan.stdout.fnmatch_lines([f"*a=1]*ON ANOTHER BASE {base} job 1*", "*1 job,*", message, fix])
    result = project.submit("--remex-retry")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines([message, fix])
    project.submit().assert_outcomes(skipped=3)
    assert len(project.jobs()) == 3


def test_new_base(project):
    """--remex-new-base submits on today's base what has runs on another one."""
    project.ran()
    project.commit(notes_txt="more\n")
    project.submit("--remex-new-base").assert_outcomes(passed=3)
    assert len(project.jobs()) == 6
    project.submit().assert_outcomes(skipped=3)
    assert len(project.jobs()) == 6


def test_several_other_bases(project):
    """The base of the newest runs is named, but that of an older run if it is known to be good."""
    project.ran()
    first = project.git("rev-parse", "--short=7", "HEAD")
    project.commit(notes_txt="more\n")
    project.submit("--remex-new-base").assert_outcomes(passed=3)
    second = project.git("rev-parse", "--short=7", "HEAD")
    project.commit(notes_txt="even more\n")
    plan = project.pytest("--remex-plan")
    plan.stdout.fnmatch_lines([f"3 of these 3 were submitted on base {second}; since then *"])
    launch = project.record_paths()[0].stem
    project.pytest("--remex-status", f"--remex-launch={launch}", "-k", "a=1")
    plan = project.pytest("--remex-plan")
    plan.stdout.fnmatch_lines(
        [
            f"1 of these 3 completed on base {first}; since then *",
            f"2 of these 3 were submitted on base {second}; since then *",
        ]
    )


@pytest.mark.parametrize("fix", ["branch", "remex_control"])
def test_fix_for_a_new_base(project, fix):
    """The fixes in the message work: staying on the base, or naming the file that no job reads."""
    project.ran()
    base = project.git("rev-parse", "--short=7", "HEAD")
    project.commit(notes_txt="more\n")
    if fix == "branch":
        project.edit("sweeps.py", "fetch=", f'branch="{base}", fetch=')
    else:
        project.edit("pytest.ini", "[pytest]", "[pytest]\nremex_control = README* notes.txt")
    result = project.submit("-v")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*ALREADY SUBMITTED job 1*", "3 already submitted*"])
    assert len(project.jobs()) == 3


def test_retry_on_a_new_base(project):
    """A retry sends on the new base only what has no completed run on any base."""
    project.edit("sweeps.py", "f\"a = {experiment.config['a']}\\n\"", FAILING_AT_2)
    project.ran()
    project.commit(notes_txt="more\n")
    project.submit().assert_outcomes(skipped=3)
    result = project.submit("--remex-retry", "-v")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines(["*a=2] SUBMITTED job 4*"])


def test_record_without_fingerprints(project):
    """Runs of the release before, whose records have no fingerprints, are recognized."""
    project.ran()
    (record,) = project.record_paths()
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    for line in lines:
        for key in ("fingerprint", "replicate", "patterns", "changed", "crc"):
            line.pop(key, None)
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    project.submit().assert_outcomes(skipped=3)
    project.commit(**{"README.md": "more\n"})
    project.edit("sweeps.py", "def grid", "def new_name")
    project.submit().assert_outcomes(skipped=3)
    assert len(project.jobs()) == 3


def test_interrupted_before_a_control_file_was_committed(project):
    """An interrupted launch is finished on its own base if nothing else changed."""
    project.edit("run.sbatch", "-t 5", "-t 5 -H")
    project.commit()
    project.submit()
    (record,) = project.record_paths()
    kept = [line for line in record.read_text().splitlines() if '"RELEASED"' not in line]
    record.write_text("\n".join(kept) + "\n")
    shutil.rmtree(project.runs / ".remex" / "launches")
    project.commit(**{"README.md": "more\n"})
    project.submit().assert_outcomes(passed=3)
    assert len(project.jobs()) == 3
    assert len(project.record_paths()) == 1


def test_more_time_is_the_same_experiment(project):
    """Scheduling options of the script make nothing new; what the job is given to do does."""
    project.submit()
    project.edit("run.sbatch", "-t 5", "-t 9 --mem=8G")
    project.commit()
    project.submit().assert_outcomes(skipped=3)
    project.edit("run.sbatch", "-t 9", "-t 9 -n 2")
    project.commit()
    project.submit("--remex-new-base").assert_outcomes(passed=3)


@pytest.mark.parametrize("mode", [(), ("--remex-plan",), ("--remex-submit",)])
@pytest.mark.parametrize(
    ("name", "declared", "words"),
    [
        ("README.md", "", "*changes README.md, a control file by remex_control =*"),
        ("sweeps.py", "", "*changes sweeps.py, which controls pytest*"),
        ("other.txt", 'inputs=["input.txt"], ', "*other.txt, which inputs=[[]*add it to inputs*"),
    ],
)
def test_patch_of_what_is_no_input(project, mode, name, declared, words):
    """A patch that changes a file that is not an input is refused with path and fix."""
    project.edit("sweeps.py", "fetch=", declared + "fetch=")
    project.edit("sweeps.py", '"input.txt")', f'"{name}")')
    if name == "sweeps.py":
        project.git("add", "--force", name)
        project.commit()
    result = project.pytest("sweeps.py", *mode)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines([words])
    assert not project.record_paths()


def test_retry_of_all(project):
    """--remex-retry=all runs what was submitted before once more, in a launch of its own."""
    project.submit()
    project.submit("--remex-retry=all").assert_outcomes(passed=3)
    assert len(project.jobs()) == 6
    assert len(project.record_paths()) == len(project.run_directories()) / 3 == 2


def test_unchanged_point(empty_project):
    """A point whose patch changes nothing is an experiment like any other."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"a": ["base", "other"]}, fetch=["result.txt"])
        def grid(experiment):
            (experiment.path / "input.txt").write_text(experiment.config["a"] + "\\n")
            run = yield
            assert run.read("result.txt") == experiment.config["a"] + "\\n"
        """)
    plan = empty_project.pytest("--remex-plan")
    plan.stdout.fnmatch_lines(["*(no change: this is the base itself)*"])
    empty_project.ran()
    assert len(empty_project.jobs()) == 2
    empty_project.submit().assert_outcomes(skipped=2)


@pytest.mark.parametrize("grouping", [(), ("--remex-array",)])
def test_other_script(project, grouping):
    """A sweep's script may have another name, in a folder; another sweep's counts for nothing."""
    project.commit(**{"jobs/a long.sbatch": (project.path / "run.sbatch").read_text()})
    grid = (project.path / "sweeps.py").read_text()
    other = grid.replace("def grid", "def short").replace("a = {", "b = {")
    project.sweeps(grid.replace("fetch=", 'script="jobs/a long.sbatch", fetch=') + other)
    project.edit("jobs/a long.sbatch", "cat input.txt", "cat input.txt; echo long")
    project.commit()
    project.submit("-k", "grid", *grouping)
    project.wait()
    for run in project.run_directories():
        assert "long" in (run / "job.out").read_text()
    project.pytest("--remex-collect", "-k", "grid").assert_outcomes(passed=3)
    project.edit("run.sbatch", "cat input.txt", "cat input.txt; echo short")
    project.commit()
    project.submit("-k", "grid").assert_outcomes(skipped=3)
    project.submit("-k", "short").assert_outcomes(passed=3)


@pytest.mark.parametrize("script", ["none.sbatch", "../run.sbatch", "-x"])
def test_script_that_cannot_be(project, script):
    """A script that is not in the commit, or that could not be, is refused by its name."""
    project.edit("sweeps.py", "fetch=", f'script="{script}", fetch=')
    result = project.pytest("sweeps.py")
    assert result.ret
    result.stdout.fnmatch_lines([f"*{script}*"])
