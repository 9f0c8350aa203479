"""An experiment is its base commit and its tree: what was submitted is not submitted again."""


def test_submitting_twice(project):
    """The same command again submits nothing, and says what was submitted before."""
    project.submit().assert_outcomes(passed=3)
    result = project.submit("-v", "-rs")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(
        ["*a=2] ALREADY SUBMITTED job 2*", "*sweeps.py:4: *job 2 in launch grid_*"]
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


def test_new_base(project):
    """On a new base commit the same points are new experiments."""
    project.submit()
    project.commit(notes_txt="more\n")
    project.submit().assert_outcomes(passed=3)
    assert len(project.jobs()) == 6


def test_again(project):
    """--remex-again replicates what was submitted before, in a launch of its own."""
    project.submit()
    project.submit("--remex-again").assert_outcomes(passed=3)
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
