"""--remex-retry and --remex-launch: which runs are repeated, and which are looked at."""

import json
import shutil

FLAKY = """
from pytest_remex import sweep

@sweep({"a": ["fine", "fail"]}, fetch=["result.txt"])
def grid(experiment):
    (experiment.path / "input.txt").write_text(experiment.config["a"])
    run = yield
    assert run.read("result.txt") == "something else"
"""
CHECKED = FLAKY.replace('["fine", "fail"]', '["good", "bad", "fail"]').replace(
    '== "something else"', '== "good"'
)


def test_retry(empty_project):
    """A retry repeats failed jobs, and not failed assertions."""
    empty_project.sweeps(FLAKY)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(failed=2)
    empty_project.submit().assert_outcomes(skipped=2)
    result = empty_project.submit("--remex-retry", "-v")
    result.stdout.fnmatch_lines(["*fine] ALREADY SUBMITTED job 1*", "*fail] SUBMITTED job 3*"])
    assert len(empty_project.run_directories()) == 3


def test_retry_that_was_killed_before_its_claim(empty_project):
    """The same command continues a retry that only its record names."""
    project = empty_project
    project.sweeps(FLAKY)
    project.ran()
    project.pytest("--remex-status")
    project.ran("--remex-retry")
    launch = project.record_paths()[-1].stem
    for record in project.path.rglob(f"{launch}.jsonl"):
        lines = record.read_text().splitlines(keepends=True)
        record.write_text("".join(lines[:2]))
    for claim in (project.runs / ".remex" / "claims").glob("*/*"):
        if claim.suffix != ".placed" and json.loads(claim.read_text())["launch"] == launch:
            claim.unlink()
            claim.with_name(f"{claim.name}.placed").unlink()
    for directory in project.run_directories():
        if launch[-19:] in directory.name:
            shutil.rmtree(directory)
    result = project.submit("--remex-retry", "-v")
    result.stdout.fnmatch_lines(["*fine] ALREADY SUBMITTED job 1*", "*fail] SUBMITTED job 4*"])


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
    assert result.ret == 2
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*no launch 'grid_1999_01_01_00_00_00' in *launches: the newest are grid_*"]
    )


def test_experiment_outside_a_launch(project):
    """An experiment that was not part of the launch asked for is not submitted there."""
    project.ran("-k", "a=1")
    (record,) = project.record_paths()
    project.ran()
    result = project.pytest("--remex-collect", f"--remex-launch={record.stem}")
    result.assert_outcomes(passed=1, skipped=2)


def test_retry_of_failed_checks(empty_project):
    """With =check a retry also repeats what completed and failed its check, as plan says."""
    empty_project.sweeps(CHECKED)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1, failed=2)
    plan = empty_project.pytest("--remex-plan", "--remex-retry=check", "-v")
    plan.stdout.fnmatch_lines(
        [
            "*good] ALREADY SUBMITTED job 1*",
            "*bad] RETRY after job 2, whose check failed*",
            "*fail] RETRY after job 3*",
            "--remex-submit asks for 2 jobs*; 3 already submitted, 2 of them again*",
        ]
    )
    result = empty_project.submit("--remex-retry=check", "-v")
    result.stdout.fnmatch_lines(
        [
            "*good] ALREADY SUBMITTED job 1*",
            "*bad] SUBMITTED job 4*",
            "*fail] SUBMITTED job 5*",
        ]
    )
    assert len(empty_project.run_directories()) == 5


def test_retry_of_what_was_never_judged(empty_project):
    """A run that completed and was never collected is not sent, and a message says what to do."""
    empty_project.sweeps(CHECKED)
    empty_project.ran()
    result = empty_project.submit("--remex-retry=check", "-v", "-rs")
    result.stdout.fnmatch_lines(
        [
            "*good] NOT JUDGED job 1*",
            "*bad] NOT JUDGED job 2*",
            "*fail] SUBMITTED job 4*",
            "2 completed and were not judged by a collect here, so they are not submitted: run *",
            "NOT JUDGED job 1 *completed, and no collect here has judged it: run --remex-collect *",
        ]
    )
    plan = empty_project.pytest("--remex-plan", "--remex-retry=check", "-v", "-k", "not fail")
    plan.stdout.fnmatch_lines(
        [
            "*good] NOT JUDGED job 1*",
            "*has nothing to send; 2 already submitted; *; 2 completed and were not judged *",
            "nothing was sent: --remex-collect shows whose check failed",
        ]
    )
    empty_project.pytest("--remex-collect")
    empty_project.submit("--remex-retry=check", "-k", "not fail").assert_outcomes(
        passed=1, skipped=1
    )


def test_verdict_of_another_job(empty_project):
    """The verdict of a job that was submitted before does not count for the one after it."""
    empty_project.sweeps(CHECKED.replace('"good", ', "").replace(', "fail"', ""))
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(failed=1)
    empty_project.ran("--remex-retry=check")
    result = empty_project.submit("--remex-retry=check", "-v")
    result.stdout.fnmatch_lines(["*bad] NOT JUDGED job 2*"])


def test_corrected_check(empty_project):
    """A corrected assertion that was judged offline leaves nothing to send."""
    empty_project.sweeps(CHECKED.replace(', "fail"', ""))
    empty_project.ran()
    result = empty_project.pytest("--remex-collect")
    result.stdout.fnmatch_lines(["next: *--remex-submit --remex-retry=check sends failed *"])
    empty_project.edit("sweeps.py", '== "good"', 'in {"good", "bad"}')
    empty_project.pytest("--remex-collect", "--remex-offline").assert_outcomes(passed=2)
    empty_project.submit("--remex-retry=check").assert_outcomes(skipped=2)


def test_retry_does_not_take_the_next_word(project):
    """A word after --remex-retry is a path; an unknown one after `=` is named with the others."""
    project.pytest("--remex-plan", "--remex-retry", "sweeps.py").assert_outcomes(passed=3)
    result = project.pytest("--remex-plan", "--remex-retry=some")
    assert result.ret == 4
    words = "/".join(f"--remex-retry{word}" for word in ("", "=check", "=forgotten", "=all"))
    result.stderr.fnmatch_lines([f"*argument {words}: ignored explicit argument 'some'*"])


def test_verdicts_that_were_lost(empty_project):
    """Without the output folder runs are known and verdicts are not: a collect brings them back."""
    empty_project.runs = empty_project.path / "elsewhere"
    empty_project.write(
        "pytest.ini", f"[pytest]\nfilterwarnings = error\nremex_runs = {empty_project.runs}\n"
    )
    empty_project.sweeps(CHECKED.replace(', "fail"', ""))
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1, failed=1)
    shutil.rmtree(empty_project.output)
    lost = empty_project.submit("--remex-retry=check", "-v")
    lost.stdout.fnmatch_lines(["*good] NOT JUDGED job 1*", "*bad] NOT JUDGED job 2*"])
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1, failed=1)
    again = empty_project.submit("--remex-retry=check", "-v")
    again.stdout.fnmatch_lines(["*good] ALREADY SUBMITTED job 1*", "*bad] SUBMITTED job 3*"])


def test_the_newest_run_does_not_depend_on_clocks(empty_project, monkeypatch):
    """A retry from a time zone where it is still yesterday is the newest run."""
    empty_project.commit(run_sbatch="#!/bin/sh\n#SBATCH -o job.out\ntest -e ../second\n")
    empty_project.sweeps("from pytest_remex import sweep\n@sweep()\ndef one():\n    yield\n")
    monkeypatch.setenv("TZ", "UTC-14")
    empty_project.pytest_alone("--remex-submit").assert_outcomes(passed=1)
    empty_project.wait()
    empty_project.pytest("--remex-collect").assert_outcomes(failed=1)
    (empty_project.runs / "second").touch()
    monkeypatch.setenv("TZ", "UTC+12")
    empty_project.pytest_alone("--remex-submit", "--remex-retry").assert_outcomes(passed=1)
    empty_project.wait()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1)
    result = empty_project.submit("--remex-retry", "-v")
    result.stdout.fnmatch_lines(["*::one ALREADY SUBMITTED job 2*"])
