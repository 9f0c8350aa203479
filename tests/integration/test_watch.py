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
    empty_project.until(says=["1", "2"])
    empty_project.edit("sweeps.py", "STATUS = False", "STATUS = True")
    return empty_project


def test_nothing_to_cancel(project):
    """A cancel says so if no job is left to cancel, or was ever submitted."""
    nothing = "there is nothing to cancel"
    project.pytest("--remex-cancel").stdout.fnmatch_lines([nothing, "3 not submitted"])
    project.ran()
    project.pytest("--remex-cancel").stdout.fnmatch_lines(["COMPLETED 3 *", nothing])


def test_status(project):
    """Status shows each experiment's state and job, in a table and item by item."""
    project.ran()
    result = project.pytest("--remex-status", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "sweeps.py::grid[[]a=1] COMPLETED job 1 *",
            "this machine",
            "launch grid_*, base *",
            "COMPLETED 3 *",
            "a  job  state      elapsed  of limit *",
            "1  1    COMPLETED  0:00:0?  ?????? 0:05:00*",
            "*= 3 completed in *",
        ]
    )


FAILING = """
from pytest_remex import sweep

@sweep({"text": ["fine", "fail 1", "fail 2", "wait"]})
def grid(experiment):
    (experiment.path / "input.txt").write_text(experiment.config["text"] + "\\n")
    if STATUS:
        raise RuntimeError("the body runs")
"""
REMOTE = """
import pytest

@pytest.fixture(scope="session")
def remote():
    return 5
"""
PROGRESS = """
def pytest_remex_progress(run):
    assert run.experiment.config["text"] == run.log.strip() == "wait"
    return 0.25
"""


@pytest.fixture
def failing(empty_project):
    """Return a project with an experiment that ran well, two that failed, and one that waits."""
    empty_project.sweeps("STATUS = False\n" + FAILING)
    empty_project.submit()
    empty_project.edit("sweeps.py", "STATUS = False", "STATUS = True")
    empty_project.write("conftest.py", PROGRESS)
    empty_project.until(ended=["1", "2", "3"], says=["4"])
    yield empty_project
    empty_project.release_waiting()


def test_status_of_failures(failing):
    """A failed job is a failed item; each cause is shown once, and output of running jobs.

    pytest's last line counts states, and no section is printed for each failure.
    """
    result = failing.pytest("--remex-status")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "sweeps.py .FFr *",
            "FAILED    2 *",
            "fail 1  *FAILED *3  no convergence*",
            "wait  *RUNNING *25% wait*",
            "2 failed: exit 3: no convergence",
            "1 job left, 1 of them running: about * to go, by 2 jobs of * on average",
            "*= 2 failed, 1 completed, 1 running in *",
        ]
    )
    assert "FAILURES" not in result.stdout.str()
    assert "the body runs" not in result.stdout.str()


def test_status_that_cannot_ask(failing):
    """An error that prevents a query is shown in full, without a table."""
    failing.write("conftest.py", REMOTE)
    result = failing.pytest("--remex-status")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*= FAILURES =*", "the fixture remote returns 5: return Remote*"])


def test_failed_lines_that_are_asked_for(failing):
    """With -rf each failed job has its line, as with tests; pytest 8 leaves out its reason."""
    result = failing.pytest("--remex-status", "-rfs")
    reason = " - *no convergence" if pytest.version_tuple >= (9,) else ""
    result.stdout.fnmatch_lines([f"FAILED job 2 sweeps.py::grid?text=fail 1?{reason}"])


def test_status_leaves_the_last_failures_alone(failing):
    """What --lf goes by stays as the last collect or dry run left it."""
    failing.pytest("--remex-collect")
    kept = failing.path / ".pytest_cache/v/cache/lastfailed"
    before = kept.read_text()
    failing.pytest("--remex-status", "-k", "fine")
    failing.pytest("--remex-status")
    assert kept.read_text() == before


def test_status_exit_codes(project):
    """Status exits with 10 if nothing failed, and something is not submitted or not ended."""
    assert project.pytest("--remex-status").ret == 10
    project.ran("-k", "1")
    assert project.pytest("--remex-status").ret == 10
    assert project.pytest("--remex-status", "-k", "1").ret == 0


def test_hook_for_progress_that_returns_nonsense(failing):
    """A progress that is not between 0 and 1 is reported and ignored."""
    failing.write("conftest.py", "def pytest_remex_progress(run):\n    return '25%'\n")
    result = failing.pytest("--remex-status")
    result.stdout.fnmatch_lines(["*the hook pytest_remex_progress returned '25%': return 0 to 1*"])
    assert "25% wait" not in result.stdout.str()


def test_output_that_acts_on_a_terminal(empty_project):
    """Escape sequences in a job's output do not reach the terminal."""
    empty_project.edit(
        "run.sbatch", "cat input.txt", r"printf 'a\033]0;owned\007\033[31mred\033[2J'"
    )
    empty_project.commit()
    empty_project.sweeps(WAITING.replace("if STATUS", "if False"))
    empty_project.submit("-k", "1")
    empty_project.pytest("--remex-status", "--remex-wait=1")
    result = empty_project.pytest("--remex-status", "-k", "1")
    result.stdout.fnmatch_lines(["*RUNNING * ared*"])
    assert "owned" not in result.stdout.str()
    empty_project.release_waiting()


def test_status_before_submit(project):
    """Experiments that were not submitted are skipped, with that reason; nothing is written."""
    result = project.pytest("--remex-status", "-v")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*a=1] NOT SUBMITTED*"])
    assert not project.output.exists()


def test_status_runs_no_body(waiting):
    """Status queries states; neither sweep bodies nor their other fixtures run."""
    result = waiting.pytest("--remex-status", "-v")
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*= 2 running, 2 pending in *"])
    assert "the body runs" not in result.stdout.str()
    waiting.release_waiting()


ENDED = """
def pytest_remex_ended(jobs):
    print("ended:", *sorted(jobs), *{job.state for job in jobs.values()})
"""


def test_wait(waiting):
    """--remex-wait ends when all have ended, reports changes meanwhile, and calls a hook."""
    waiting.release_waiting()
    waiting.write("conftest.py", ENDED)
    result = waiting.pytest("--remex-status", "--remex-wait", "-s")
    result.stdout.fnmatch_lines(
        [
            "??:??:?? 4 COMPLETED",
            "ended: sweeps.py::grid?text=wait 1? * sweeps.py::grid?text=wait 4? COMPLETED",
            "COMPLETED 4 *",
        ]
    )


def test_wait_that_is_interrupted(waiting):
    """Ctrl-C ends the wait, says that the jobs keep running, and shows their states."""
    process = waiting.start("--remex-status", "--remex-wait")
    for line in process.stdout:
        if "RUNNING" in line:
            break
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "stopped waiting: the jobs keep running" in text
    assert "2 running, 2 pending" in text
    assert "KeyboardInterrupt" not in text
    waiting.release_waiting()
    waiting.wait()
    assert waiting.pytest("--remex-status").ret == 0


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
    """Cancel ends only the jobs of the selected experiments."""
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
    """A run whose queue process died is NODE_FAIL, and the next command continues the others."""
    waiting.pytest("--remex-status", "--remex-wait=1")
    os.kill(queue_of(waiting.runs), signal.SIGKILL)
    waiting.release_waiting()
    waiting.pytest("--remex-status")
    waiting.wait()
    result = waiting.pytest("--remex-status", "-v")
    result.stdout.fnmatch_lines(["*wait 1] NODE_FAIL*", "*wait 4] COMPLETED*"])


def test_json_that_cannot_be_written(project):
    """A JSON file that cannot be written is named, and fails the command."""
    project.ran()
    result = project.pytest("--remex-status", "--remex-json", "run.sbatch/status.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*run.sbatch/status.json cannot be written (Not a directory): *"])
