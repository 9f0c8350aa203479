"""--remex-retry and --remex-launch: which runs are repeated, and which are looked at."""

FLAKY = """
from pytest_remex import sweep

@sweep({"a": ["fine", "fail"]}, fetch=["result.txt"])
def grid(experiment):
    (experiment.path / "input.txt").write_text(experiment.config["a"])
    run = yield
    assert run.read("result.txt") == "something else"
"""


def test_retry(empty_project):
    """A retry repeats failed jobs, and not failed assertions."""
    empty_project.sweeps(FLAKY)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(failed=2)
    empty_project.submit().assert_outcomes(skipped=2)
    result = empty_project.submit("--remex-retry", "-v")
    result.stdout.fnmatch_lines(["*fine] ALREADY SUBMITTED job 1*", "*fail] SUBMITTED job 3*"])
    assert len(empty_project.run_directories()) == 3


def test_retry_of_a_live_run(empty_project):
    """A run that still waits or runs is not repeated."""
    empty_project.sweeps(FLAKY.replace('"fail"', '"wait"'))
    empty_project.submit()
    empty_project.submit("--remex-retry").assert_outcomes(skipped=2)
    empty_project.release_waiting()


def test_retry_of_a_cancelled_run(empty_project):
    """A cancelled run is repeated."""
    empty_project.sweeps(FLAKY.replace('"fine", "fail"', '"wait"'))
    empty_project.submit()
    empty_project.pytest("--remex-cancel")
    empty_project.wait()
    empty_project.submit("--remex-retry").assert_outcomes(passed=1)


def test_collect_takes_the_newest_run(empty_project):
    """After a retry, the new run counts, and an older launch is there when asked for."""
    empty_project.commit(
        run_sbatch="""\
        #!/bin/sh
        #SBATCH -o job.out
        test -e ../second
        """
    )
    empty_project.sweeps("from pytest_remex import sweep\n@sweep()\ndef one():\n    yield\n")
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(failed=1)
    (empty_project.runs / "second").touch()
    empty_project.ran("--remex-retry")
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1)
    first, second = (path.stem for path in empty_project.record_paths())
    empty_project.pytest("--remex-collect", f"--remex-launch={first}").assert_outcomes(failed=1)
    empty_project.pytest("--remex-collect", f"--remex-launch={second}").assert_outcomes(passed=1)
    result = empty_project.pytest("--remex-status", f"--remex-launch={first}", "-v")
    result.stdout.fnmatch_lines(["*::one FAILED job 1*"])


def test_unknown_launch(project):
    """A launch that is not there is refused, and the newest are named."""
    project.submit()
    result = project.pytest("--remex-status", "--remex-launch=grid_1999_01_01_00_00_00")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: no launch 'grid_1999_01_01_00_00_00' in *launches: the newest are grid_*"]
    )


def test_experiment_outside_a_launch(project):
    """An experiment that was not part of the launch asked for is not submitted there."""
    project.ran("-k", "a=1")
    (record,) = project.record_paths()
    project.ran()
    result = project.pytest("--remex-collect", f"--remex-launch={record.stem}")
    result.assert_outcomes(passed=1, skipped=2)
