"""--remex-plan: what a submit would send, and nothing sent."""


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
    """A plan tells new points from those that were submitted."""
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


def test_plan_of_a_replicate(project):
    """A plan with --remex-again counts what it would submit again."""
    project.submit()
    result = project.pytest("--remex-plan", "--remex-again")
    result.stdout.fnmatch_lines(
        ["--remex-submit asks for 3 jobs*; 3 already submitted, 3 of them once more"]
    )


def test_plan_of_a_retry_of_failures(project):
    """A plan with --remex-retry sends what submit sends: the runs whose jobs are known to fail."""
    project.edit("sweeps.py", 'f"a = {experiment.config', 'f"fail = {experiment.config')
    project.ran()
    result = project.pytest("--remex-plan", "--remex-retry", "-v")
    result.stdout.fnmatch_lines(
        [
            "*a=1] RETRY if job 1 failed*",
            "*nothing to send; 3 already submitted; whether the jobs of 3 failed is not recorded*",
        ]
    )
    project.pytest("--remex-status")
    result = project.pytest("--remex-plan", "--remex-retry", "-v")
    result.stdout.fnmatch_lines(
        [
            "*a=1] RETRY after job 1*",
            "--remex-submit asks for 3 jobs*; 3 already submitted, 3 of them once more",
        ]
    )
    project.submit("--remex-retry").assert_outcomes(passed=3)


def test_plan_of_nothing_new(project):
    """A plan of experiments that were all submitted says that there is nothing to send."""
    project.submit()
    result = project.pytest("--remex-plan")
    result.stdout.fnmatch_lines(["--remex-submit has nothing to send; 3 already submitted; *"])


def test_cost(project):
    """Core-hours are tasks times cores times the time limit; jobs without one are told."""
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
            (experiment.path / "input.txt").write_text(f"{hours}\\n")
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
            (experiment.path / "notes" / "about").unlink()
        """)
    result = empty_project.pytest("--remex-plan")
    result.stdout.fnmatch_lines(["*-a tiny simulation"])
    result.stdout.fnmatch_lines(["*+++ data.bin", "*binary files differ", "*+new file"])
