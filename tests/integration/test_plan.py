"""--remex-plan: what a submit would send, and nothing sent."""

import pytest


def test_plan(project):
    """A plan shows each experiment's diff, whether it is new, and what all of them ask for."""
    refs = project.refs()
    result = project.pytest("--remex-plan")
    result.stdout.fnmatch_lines(
        [
            "sweeps.py::grid[[]a=1]  NEW",
            "    --- input.txt",
            "    +++ input.txt",
            "    -base",
            "    +a = 1",
            "sweeps.py::grid[[]a=2]  NEW",
            "--remex-submit asks for 3 jobs*at most 0.25 core-hours*; 0 already submitted",
        ]
    )
    assert not project.output.exists()
    assert project.refs() == refs


def test_plan_of_a_grown_grid(project):
    """A plan distinguishes new points from submitted ones."""
    project.submit()
    project.edit("sweeps.py", "[1, 2, 3]", "[1, 2, 3, 4]")
    result = project.pytest("--remex-plan", "-v")
    result.stdout.fnmatch_lines(
        [
            "*a=1] ALREADY SUBMITTED job 1*",
            "*a=4] NEW*",
            "--remex-submit asks for 1 job*at most 0.08333 core-hours*; 3 already submitted",
        ]
    )
    assert len(project.jobs()) == 3


def test_plan_of_all_once_more(project):
    """A plan with --remex-retry=all counts what it would submit again."""
    project.submit()
    result = project.pytest("--remex-plan", "--remex-retry=all")
    result.stdout.fnmatch_lines(
        ["--remex-submit asks for 3 jobs*; 3 already submitted, 3 of them again"]
    )


def test_plan_of_a_retry_of_failures(project):
    """A plan with --remex-retry asks about jobs, and sends what submit sends."""
    project.edit("sweeps.py", 'f"a = {experiment.config', 'f"fail = {experiment.config')
    project.ran("-k", "a=1 or a=2")
    project.edit("sweeps.py", 'f"fail = {experiment.config', 'f"wait = {experiment.config')
    project.submit("-k", "a=3")
    project.edit("sweeps.py", 'f"wait = {experiment.config', 'f"{kind[2:]} = {experiment.config')
    project.edit("sweeps.py", "    (experiment", '    kind = "x fail"; (experiment')
    project.edit("sweeps.py", '"x fail"', '"x wait" if experiment.config["a"] == 3 else "x fail"')
    result = project.pytest("--remex-plan", "--remex-retry", "-v")
    result.stdout.fnmatch_lines(
        [
            "*a=1] RETRY after job 1, FAILED*",
            "*a=2] RETRY after job 2, FAILED*",
            "*a=3] ALREADY SUBMITTED job 3*",
            "--remex-submit asks for 2 jobs*; 3 already submitted, 2 of them again",
            "nothing was sent: --remex-submit with the same options sends it",
        ]
    )
    project.submit("--remex-retry").assert_outcomes(passed=2, skipped=1)
    project.release_waiting()


def test_plan_of_nothing_new(project):
    """A plan of experiments that were all submitted says that there is nothing to send."""
    project.submit()
    result = project.pytest("--remex-plan")
    result.stdout.fnmatch_lines(
        ["--remex-submit has nothing to send; 3 already submitted; *1.2 kB in 15 files"]
    )


def test_cost(project):
    """Core-hours are tasks times cores times the time limit; jobs without one are named."""
    project.commit(run_sbatch="#!/bin/sh\n#SBATCH -n 4 -c 2\n#SBATCH -t 1-00\n")
    result = project.pytest("--remex-plan")
    result.stdout.fnmatch_lines(["*asks for 3 jobs*at most 576 core-hours*"])
    project.commit(run_sbatch="#!/bin/sh\ntrue\n")
    result = project.pytest("--remex-plan")
    result.stdout.fnmatch_lines(["*not counting*3 without*limit (#SBATCH -t)*"])


def test_cost_after_the_patch(empty_project):
    """The header that counts is the one that the patch leaves."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"hours": [1, 2]})
        def grid(experiment):
            script = experiment.path / "run.sbatch"
            hours = experiment.config["hours"]
            script.write_text(script.read_text().replace("-t 5", f"-t {hours}:00:00"))
            (experiment.path / "input.txt").write_text(str(hours))
        """)
    result = empty_project.pytest("--remex-plan")
    result.stdout.fnmatch_lines(["*asks for 2 jobs*at most 3 core-hours*"])


def test_long_plans_are_cut(project):
    """A plan shows twenty diffs, and -v all of them."""
    project.edit("sweeps.py", "[1, 2, 3]", "range(25)")
    result = project.pytest("--remex-plan")
    result.stdout.fnmatch_lines(["and 5 more: -v shows them all"])
    result.stdout.no_fnmatch_line("*grid[[]a=24]*")
    project.pytest("--remex-plan", "-v").stdout.fnmatch_lines(["*grid[[]a=24]  NEW"])


def test_kinds_of_edits(empty_project):
    """A plan shows new files, removed files, and binary ones by name."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep()
        def grid(experiment):
            (experiment.path / "data.bin").write_bytes(bytes(range(256)))
            (experiment.path / "fresh.txt").write_text("new file")
            (experiment.path / "notes" / "plan").unlink()
        """)
    empty_project.commit(**{"notes/plan": "a tiny plan\n"})
    result = empty_project.pytest("--remex-plan")
    result.stdout.fnmatch_lines(["*-a tiny plan"])
    result.stdout.fnmatch_lines(["*+++ data.bin", "*binary files differ", "*+new file"])


def test_remote_that_does_not_take_it(project):
    """A plan asks the remote, and lists all reasons why submit would be refused."""
    project.runs.mkdir(parents=True)
    project.runs.chmod(0o777)
    result = project.pytest("--remex-plan")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            f"submit would be refused: *writable for everyone*: chmod o-w {project.runs}",
            "nothing was sent: --remex-doctor checks what submit would refuse",
        ]
    )
    project.runs.chmod(0o755)
    assert project.pytest("--remex-plan").ret == 0


def test_remote_that_cannot_be_asked(project):
    """A plan says where it could not connect, and shows the rest; the dry run does not connect."""
    ini = "[pytest]\nremex_host = nowhere.invalid\nremex_clone = ~/c\nremex_runs = ~/r\n"
    project.write("pytest.ini", ini)
    result = project.pytest("--remex-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "planned only from the records on this machine: *nowhere.invalid*",
            "--remex-doctor checks the connection step by step",
            "--remex-submit asks for 3 jobs*",
        ]
    )
    assert "nowhere.invalid" in result.stdout.str()
    assert "planned only from" not in project.pytest("sweeps.py").stdout.str()


UNSTABLE = """
import random, time
from pytest_remex import sweep

@sweep({"a": [1, 2]})
def grid(experiment):
    (experiment.path / "input.txt").write_text(f"{random.random()}")

@sweep({"a": [1, 2]})
def once(experiment, tmp_path):
    if (tmp_path / "made").exists():
        (experiment.path / "left.txt").write_text("left")
    (tmp_path / "made").mkdir()
    (experiment.path / "input.txt").write_text(f"a = {experiment.config['a']}")
"""


@pytest.mark.parametrize("mode", [(), ("--remex-plan",)])
def test_a_patch_that_makes_other_files_each_time(empty_project, mode):
    """It is told before anything is sent; a patch that can only run once is not."""
    empty_project.sweeps(UNSTABLE)
    result = empty_project.pytest("sweeps.py", *mode)
    result.assert_outcomes(passed=4)
    result.stdout.no_fnmatch_line("*left.txt*")
    told = [line for line in result.outlines if "made other files when it ran again" in line]
    assert len(told) == 1
    assert told[0].startswith(
        "the patch of grid[a=1] made other files when it ran again: input.txt"
    )


def test_a_patch_that_writes_the_path_of_its_checkout(empty_project):
    """It is refused, as that path is another one each time, and not there when the job runs."""
    empty_project.sweeps(UNSTABLE.replace("{random.random()}", "{experiment.path}/out"))
    for mode in ("--remex-plan", "--remex-submit"):
        result = empty_project.pytest(mode, "-k", "grid")
        result.assert_outcomes(failed=2)
        result.stdout.fnmatch_lines(
            ["*grid[[]a=1]: the patch writes the path of its checkout, *input.txt*"]
        )
    assert not empty_project.jobs()
