"""A collect's messages on runs that failed, have not ended, or are not known."""

import shutil

import pytest
from support.projects import plain_text


def test_failed_job(empty_project):
    """A failed job gives its reason first, its figures, its last words, and how to see more."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"text": ["fine", "fail"]}, fetch=["result.txt"])
        def grid(experiment):
            (experiment.path / "input.txt").write_text(experiment.config["text"] + "\\n")
            yield
        """)
    empty_project.ran()
    result = empty_project.pytest("--remex-collect", "-v")
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*grid[[]text=fail]*FAILED*",
            "job 2 ended FAILED*",
            "exit code 3*",
            "run directory: *_grid_time_*",
            "*no convergence",
            "to see more: less '*job.out'; to run it again: --remex-submit --remex-retry",
            "1 failed: exit 3: no convergence",
        ]
    )
    plain_text(result)
    assert empty_project.rows()["text=fail"]["state"] == "FAILED"


@pytest.mark.parametrize("ci", ["", "true"])
def test_many_failures(empty_project, monkeypatch, ci):
    """Each cause is shown in full once, with its values; then each failure has a line.

    So it is in CI, where pytest's summary shortens nothing. What NumPy writes around a number is
    left out, and the output of jobs that completed as well.
    """
    monkeypatch.setenv("CI", ci)
    empty_project.sweeps("""
        import numpy as np
        from pytest_remex import sweep
        @sweep({"a": list(range(12))}, fetch=["result.txt"])
        def grid(experiment):
            a = experiment.config["a"]
            (experiment.path / "input.txt").write_text(f"{'fail' if a > 8 else 'cycle'} {a}\\n")
            run = yield
            l1 = np.float64(0.02 + a / 1000)
            run.record(l1=l1)
            assert l1 < 0.02
        """)
    empty_project.ran()
    result = empty_project.pytest("--remex-collect")
    result.assert_outcomes(failed=12)
    assert_lines = [
        "*= FAILURES =*",
        "*_ 9 failed: assert l1 < 0.02 (0.02 to 0.028); for example grid?a=0? _*",
        "*_ 3 failed: exit 3: no convergence; for example grid?a=9? _*",
        "9 failed: assert l1 < 0.02 (0.02 to 0.028)",
        "3 failed: exit 3: no convergence",
        "FAILED sweeps.py::grid?a=1? - *assert 0.021 < 0.02",
        "FAILED sweeps.py::grid?a=11? - *job 12 ended FAILED: no convergence",
        "*= 12 failed in *",
    ]
    result.stdout.fnmatch_lines(assert_lines)
    text = plain_text(result)
    assert "cycle 0" not in text
    assert text.count("the last lines of its output") == 1
    assert empty_project.rows()["a=1"]["reason"] == "assert 0.021 < 0.02"
    assert float(empty_project.rows()["a=8"]["l1"]) + 0.01 > 0.03


@pytest.mark.parametrize("option", [[], ["--remex-plan"], ["--remex-submit"]])
def test_many_refusals(empty_project, option):
    """What keeps all experiments from being sent is shown once; then each failure has a line."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        from pytest_remex.config import patch_config
        @sweep({"a": list(range(12))})
        def grid(experiment):
            patch_config("confg.yaml", experiment.config)
        @sweep({"a": list(range(12))}, config_file="confg.yaml")
        def other(experiment): ...
        """)
    result = empty_project.pytest("sweeps.py", *option)
    result.assert_outcomes(failed=24)
    text = plain_text(result)
    assert "_ grid[a=0] and 11 more, for the same reason _" in text
    assert text.count("\nconfg.yaml: No such file or directory") == 1
    assert "_ other[a=0] and 11 more, for the same reason _" in text
    assert text.count("\nother[a=0]: config_file='confg.yaml' is not in the checkout") == 1
    assert text.count("\nFAILED sweeps.py::grid[a=") == 12


def test_many_errors(empty_project):
    """An error of a fixture that all experiments have is shown once."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"a": list(range(12))}, branch="nowhere")
        def grid(experiment): ...
        """)
    result = empty_project.pytest("sweeps.py")
    result.assert_outcomes(errors=12)
    text = plain_text(result)
    assert "_ ERROR at setup of grid[a=0] and 11 more, for the same reason _" in text
    assert text.count("\nunknown branch") == 1
    assert text.count("\nERROR sweeps.py::grid[a=") == 12


def test_time_limit(empty_project):
    """A job that hits its limit is TIMEOUT, with the time it took and was allowed."""
    script = "#!/bin/sh\n#SBATCH -t 0:01\nsleep 30\n"
    empty_project.commit(run_sbatch=script)
    empty_project.sweeps("from pytest_remex import sweep\n@sweep()\ndef one(): pass\n")
    empty_project.ran()
    result = empty_project.pytest("--remex-collect")
    result.stdout.fnmatch_lines(["job 1 ended TIMEOUT*", "*ran 00:00:0? of 00:00:01 allowed*"])


def test_missing_output(empty_project):
    """A completed job without an output that fetch names has failed."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep(fetch=["result.txt", "LOGS/*.data"])
        def grid(experiment):
            (experiment.path / "input.txt").write_text("empty")
        """)
    empty_project.ran()
    result = empty_project.pytest("--remex-collect")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*completed but did not write result.txt, LOGS/[*].data*"])
    plain_text(result)


def test_reading_what_was_not_fetched(empty_project):
    """run.read of an output that was not fetched names it and the fix."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep()
        def grid():
            run = yield
            run.read("result.txt")
        """)
    empty_project.ran()
    result = empty_project.pytest("--remex-collect")
    result.stdout.fnmatch_lines(["*'result.txt' is not among the fetched outputs*fetch=*"])
    plain_text(result)


def test_config_mismatch(empty_project):
    """If the config that ran is not the config asked for, both are shown and it fails."""
    script = (
        empty_project.path / "run.sbatch"
    ).read_text() + "echo '{\"mass\": 1}' > settings.json\n"
    empty_project.commit(**{"settings.json": '{"mass": 1}\n', "run.sbatch": script})
    empty_project.sweeps("""
        import json
        from pytest_remex import sweep
        @sweep({"mass": [1, 2]}, config_file="settings.json")
        def grid(experiment):
            mass = experiment.config["mass"]
            (experiment.path / "settings.json").write_text(json.dumps({"mass": mass}))
            run = yield
            assert run.config == {"mass": 1}
        """)
    empty_project.ran()
    result = empty_project.pytest("--remex-collect")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["the config that ran is not the config asked for: mass: asked for 2, ran with 1 (if*"]
    )
    plain_text(result)


def test_not_submitted(project):
    """Experiments that were never submitted are skipped, with that reason."""
    result = project.pytest("--remex-collect", "-v")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*a=1] NOT SUBMITTED*"])


def test_exit_code_of_unended(empty_project):
    """A collect that finds nothing wrong, while some have not ended, exits with 10."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"text": ["fine", "wait"]}, fetch=["result.txt"])
        def grid(experiment):
            (experiment.path / "input.txt").write_text(experiment.config["text"])
            yield
        """)
    empty_project.submit()
    empty_project.pytest("--remex-status", "--remex-wait=1")
    result = empty_project.pytest("--remex-collect", "-v")
    assert result.ret == 10
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["*text=wait] RUNNING job 2*", "1 RUNNING"])
    empty_project.release_waiting()
    result = empty_project.pytest("--remex-collect", "--remex-wait=20")
    assert result.ret == 0
    result.assert_outcomes(passed=2)


def test_unknown_is_not_failed(project):
    """A state that could not be determined is UNKNOWN, and not FAILED."""
    project.ran()
    result = project.pytest("--remex-collect", "--remex-offline", "-v")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*a=1] UNKNOWN job 1*", "3 UNKNOWN"])
    assert result.ret == 10
    assert "FAILED" not in result.stdout.str()
    project.submit("--remex-retry").assert_outcomes(skipped=3)


def test_links_from_the_cluster(empty_project):
    """A symbolic link among the outputs is not followed."""
    empty_project.commit(run_sbatch="#!/bin/sh\nln -s /etc/passwd result.txt\n")
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep(fetch=["result.txt"])
        def one():
            yield
        """)
    empty_project.ran()
    result = empty_project.pytest("--remex-collect")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*result.txt is a symbolic link on the cluster*"])
    assert not list((empty_project.output / "runs").rglob("result.txt"))


@pytest.mark.parametrize("wanted", ["LOGS/history.data", "LOGS/*.data", "**/*.data", "LOGS"])
def test_a_folder_that_is_a_link(empty_project, tmp_path, wanted):
    """An output behind a link is missing, not collected; a copy in the link's place is fetched."""
    scratch = tmp_path / "scratch"
    script = f"#!/bin/sh\nmkdir {scratch}\necho 1 > {scratch}/history.data\nln -s {scratch} LOGS\n"
    empty_project.commit(run_sbatch=script)
    empty_project.sweeps(f"""
        from pytest_remex import sweep
        @sweep(fetch=[{wanted!r}])
        def one():
            yield
        """)
    empty_project.ran()
    result = empty_project.pytest("--remex-collect")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["output *LOGS is a symbolic link on the cluster*collect again"])
    (folder,) = empty_project.run_directories()
    (folder / "LOGS").unlink()
    shutil.copytree(scratch, folder / "LOGS")
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1)
    assert len(list((empty_project.output / "runs").glob("*/LOGS/history.data"))) == 1
