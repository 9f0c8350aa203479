"""A run that hit its time limit goes on in its run directory, where an extension knows how."""

CONFTEST = """
def pytest_remex_continue(run):
    assert "photo 7" in run.log
    return ["sh", "-c", "echo went on from photo 7 > result.txt"]
"""
SWEEPS = """
from pytest_remex import sweep

@sweep({"a": [1, 2]}, fetch=["result.txt"])
def grid(experiment):
    (experiment.path / "input.txt").write_text(str(experiment.config["a"]))
    run = yield
    assert "went on" in run.read("result.txt")
"""
SCRIPT = """\
    #!/bin/sh
    #SBATCH -o job.out
    #SBATCH -t 00:00:01
    if [ -n "$REMEX_COMMAND" ]; then eval "$REMEX_COMMAND"; else echo photo 7; exec sleep 60; fi
    """


def test_continued(empty_project):
    """The retry of a timed-out run is a second job of the same run, and its outputs are judged."""
    empty_project.commit(run_sbatch=SCRIPT)
    empty_project.sweeps(SWEEPS)
    (empty_project.path / "conftest.py").write_text(CONFTEST)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(failed=2)
    directories = empty_project.run_directories()
    empty_project.ran("--remex-retry")
    assert empty_project.run_directories() == directories
    empty_project.pytest("--remex-collect").assert_outcomes(passed=2)
    assert len(empty_project.record_paths()) == 1


def test_continued_without_a_collect(empty_project):
    """The log that tells how to go on is fetched when it is not here yet."""
    empty_project.commit(run_sbatch=SCRIPT)
    empty_project.sweeps(SWEEPS)
    (empty_project.path / "conftest.py").write_text(CONFTEST)
    empty_project.ran()
    empty_project.ran("--remex-retry")
    empty_project.pytest("--remex-collect").assert_outcomes(passed=2)
