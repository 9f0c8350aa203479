"""--remex-status and --remex-cancel."""

import os
import signal
import time
from pathlib import Path

import pytest

WAITING = """
from pytest_remex import sweep

@sweep({"text": ["wait 1", "wait 2", "wait 3", "wait 4"]})
def grid(experiment):
    (experiment.path / "input.txt").write_text(experiment.config["text"])
    if STATUS:
        raise RuntimeError("the body runs")
"""


def queue_of(runs):
    """Return the pid of the queue process of a runs folder: it has the folder's lock open."""
    lock = str(runs / ".remex" / "local" / "queue.lock")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(each.readlink()) == lock for each in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            continue
    return pytest.fail("there is no queue")


@pytest.fixture
def waiting(empty_project):
    """Return a project with four experiments that wait until they are let go."""
    empty_project.sweeps("STATUS = False\n" + WAITING)
    empty_project.submit()
    empty_project.edit("sweeps.py", "STATUS = False", "STATUS = True")
    return empty_project


def test_status(project):
    """Status tells each experiment's state and job, in a table and item by item."""
    project.ran()
    result = project.pytest("--remex-status", "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [
            "sweeps.py::grid[[]a=1] COMPLETED job 1 *",
            "COMPLETED 3 *",
            "*experiment *job *state *elapsed*",
            "*a=1 *1 *COMPLETED *00:00:0?*",
        ]
    )


def test_status_before_submit(project):
    """What was not submitted is skipped and says so; nothing is written."""
    result = project.pytest("--remex-status", "-v")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*a=1] NOT SUBMITTED*"])
    assert not project.output.exists()


def test_status_runs_no_body(waiting):
    """Status asks for states; neither bodies nor their other fixtures run."""
    result = waiting.pytest("--remex-status", "-v")
    result.assert_outcomes(passed=4)
    assert "the body runs" not in result.stdout.str()
    waiting.release_waiting()


def test_wait(waiting):
    """--remex-wait ends when all have ended."""
    waiting.release_waiting()
    result = waiting.pytest("--remex-status", "--remex-wait")
    result.stdout.fnmatch_lines(["COMPLETED 4 *"])


def test_wait_with_a_limit(waiting):
    """--remex-wait=S ends after S seconds."""
    begun = time.monotonic()
    result = waiting.pytest("--remex-status", "--remex-wait=1", "-v")
    assert 1 <= time.monotonic() - begun < 15
    result.stdout.fnmatch_lines(["*wait 1] RUNNING job 1*"])
    waiting.release_waiting()


def test_cancel(waiting):
    """Cancel ends jobs that wait and jobs that run, and a collect says that they were."""
    result = waiting.pytest("--remex-cancel", "-v")
    assert result.ret == 0
    waiting.wait()
    result = waiting.pytest("--remex-status", "-v")
    result.stdout.fnmatch_lines(["*wait 1] CANCELLED job 1*", "CANCELLED 4 *"])
    result = waiting.pytest("--remex-collect")
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["job 1 ended CANCELLED*", "2 failed: CANCELLED*"])


def test_cancel_a_part(waiting):
    """Cancel ends the jobs of the chosen experiments alone."""
    waiting.pytest("--remex-cancel", "-k", "1")
    waiting.release_waiting()
    waiting.wait()
    result = waiting.pytest("--remex-status", "-v")
    result.stdout.fnmatch_lines(["*wait 1] CANCELLED*", "*wait 2] COMPLETED*"])


def test_cancel_what_has_ended(project):
    """Cancel leaves ended jobs as they are."""
    project.ran()
    result = project.pytest("--remex-cancel", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*a=1] COMPLETED job 1*"])


def test_queue_that_was_killed(waiting):
    """A run whose queue process died is NODE_FAIL, and the others go on with the next command."""
    waiting.pytest("--remex-status", "--remex-wait=1")
    os.kill(queue_of(waiting.runs), signal.SIGKILL)
    waiting.release_waiting()
    waiting.pytest("--remex-status")
    waiting.wait()
    result = waiting.pytest("--remex-status", "-v")
    result.stdout.fnmatch_lines(["*wait 1] NODE_FAIL*", "*wait 4] COMPLETED*"])


def test_json_that_cannot_be_written(project):
    """A file for scripts that cannot be written is told with its path, and fails the command."""
    project.ran()
    result = project.pytest("--remex-status", "--remex-json", "run.sbatch/status.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*run.sbatch/status.json cannot be written (Not a directory): *"])
