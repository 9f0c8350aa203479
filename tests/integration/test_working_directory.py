"""Before `yield` the working directory is the checkout, and afterwards the user's again."""

from pathlib import Path

import pytest

SWEEP = """
    import os
    from pathlib import Path
    from pytest_remex import sweep

    @sweep({"a": [1, 2, 3]}, fetch=["result.txt"])
    def grid(experiment):
        assert Path.cwd() == experiment.path
        Path("input.txt").write_text(f"a = {experiment.config['a']}\\n")
        run = yield
        return {"user": os.getcwd() != str(experiment.path)}
    """


@pytest.mark.parametrize("mode", [(), ("--remex-plan",), ("--remex-submit",)])
def test_relative_path(project, mode):
    """A relative path edits the scratch checkout, never the user's own file."""
    project.sweeps(SWEEP)
    before = Path.cwd()
    result = project.pytest("sweeps.py", *mode)
    result.assert_outcomes(passed=3)
    assert (project.path / "input.txt").read_text() == "base\n"
    assert Path.cwd() == before


def test_runs_are_patched(project):
    """The relative path's edit is what runs, and the check has the user's working directory."""
    project.sweeps(SWEEP)
    project.ran()
    assert project.pytest("--remex-collect").ret == 0
    results = (project.output / "grid" / "results.csv").read_text()
    assert results.count("True") == 3
    texts = {(path / "result.txt").read_text() for path in project.run_directories()}
    assert texts == {"a = 1\n", "a = 2\n", "a = 3\n"}


def test_patch_that_raises(project):
    """The working directory is restored if a patch raises or changes it."""
    project.sweeps("""
        import os
        from pathlib import Path
        from pytest_remex import sweep

        @sweep({"a": [1, 2]})
        def grid(experiment):
            os.chdir("notes")
            assert experiment.config["a"] == 1
            Path("input.txt").write_text("new")
        """)
    before = Path.cwd()
    result = project.pytest("sweeps.py")
    result.assert_outcomes(passed=1, failed=1)
    assert Path.cwd() == before


def test_checkout_option(project):
    """--remex-checkout leaves the patched checkouts of the chosen experiments, as jobs get them."""
    project.edit(
        "sweeps.py",
        "    run = yield",
        """    (experiment.path / "my.log").touch()
    run = yield""",
    )
    where = project.path.parent / "left" / "here"
    result = project.pytest("--remex-plan", f"--remex-checkout={where}", "-k", "a=2 or a=3")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"patched checkouts: {where}", "nothing was sent: *"])
    assert sorted(path.name for path in (where / "grid").iterdir()) == ["a=2", "a=3"]
    left = where / "grid" / "a=2"
    assert (left / "input.txt").read_text() == "a = 2\n"
    tracked = set(project.git("ls-tree", "-r", "--name-only", "HEAD").split())
    files = {str(path.relative_to(left)) for path in left.rglob("*") if path.is_file()}
    assert files == tracked
    assert (left / "run.sbatch").read_text() == (project.path / "run.sbatch").read_text()
    again = project.pytest("--remex-plan", f"--remex-checkout={where}", "-k", "a=2")
    again.stdout.fnmatch_lines(["*a=2 exists already: remove it*"])


def test_checkout_option_needs_plan(project):
    """--remex-checkout can only be used with --remex-plan."""
    result = project.pytest("sweeps.py", "--remex-checkout=there")
    result.stderr.fnmatch_lines(["*--remex-checkout can only be used with --remex-plan"])
