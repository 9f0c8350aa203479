"""--remex-log: the output of chosen experiments, and of one that runs as it comes."""

import shutil
import signal

import pytest

TALKING = """\
#!/bin/sh
#SBATCH -o job.out
#SBATCH -e job.err
#SBATCH -t 5
cat input.txt
echo warned >&2
while grep -q wait input.txt && ! test -e ../go; do sleep 0.05; done
printf '\\033[31mdone\\033[0m\\n'
"""
GRID = """
from pytest_remex import sweep

@sweep({"text": ["one", "two", "wait"]})
def grid(experiment):
    (experiment.path / "input.txt").write_text(experiment.config["text"] + "\\n")
"""


@pytest.fixture
def talking(empty_project):
    """Return a project whose jobs write to both outputs; one waits in between."""
    empty_project.commit(run_sbatch=TALKING)
    empty_project.sweeps(GRID)
    empty_project.submit()
    empty_project.until(ended=["1", "2"], says=["3"])
    yield empty_project
    empty_project.release_waiting()


def test_log_of_several(talking):
    """The output of each chosen experiment is shown, file by file, and no escape acts."""
    result = talking.pytest("--remex-log", "-k", "one or two")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "=== sweeps.py::grid?text=one?  COMPLETED job 1",
            "==> job.out <==",
            "one",
            "done",
            "==> job.err <==",
            "warned",
            "=== sweeps.py::grid?text=two?  COMPLETED job 2",
            "*=* 2 completed in *",
        ]
    )
    assert "\x1b[31m" not in result.stdout.str()
    assert "wait" not in result.stdout.str()


def test_log_of_a_failed_job(project):
    """The output of a failed job is shown, and no empty section of failures."""
    project.edit("sweeps.py", 'f"a = ', 'f"fail a = ')
    project.ran("-k", "1")
    result = project.pytest("--remex-log", "-k", "1")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["=== sweeps.py::grid?a=1?  FAILED job 1", "no convergence"])
    assert "FAILURES" not in result.stdout.str()


@pytest.mark.parametrize(
    ("encoding", "shown"), [("utf-8", "\N{BLACK STAR} caf\xe9"), ("ascii", r"\u2605 caf\xe9")]
)
def test_letters_that_the_terminal_lacks(project, encoding, shown):
    """Output is shown in the terminal's encoding, with an escape for a letter that it lacks."""
    project.edit("sweeps.py", 'f"a = ', 'f"\N{BLACK STAR} caf\xe9 a = ')
    project.ran("-k", "1")
    process = project.start("--remex-log", "-k", "1", PYTHONIOENCODING=encoding)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert f"{shown} a = 1\n" in output


def test_log_is_followed(talking):
    """The output of the one that runs is shown as it comes, until its job has ended."""
    process = talking.start("--remex-log", "-k", "wait")
    for line in process.stdout:
        assert "done" not in line
        if "followed until the job has ended" in line:
            break
    talking.release_waiting()
    text, _ = process.communicate(timeout=60)
    assert "done\n" in text
    assert "job 3 ended COMPLETED" in text
    assert process.returncode == 0


def test_log_that_is_interrupted(talking):
    """Ctrl-C stops following and says that the job keeps running."""
    process = talking.start("--remex-log", "-k", "wait")
    for line in process.stdout:
        if "followed until the job has ended" in line:
            break
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "stopped following: the job keeps running" in text
    assert "KeyboardInterrupt" not in text
    assert "Traceback" not in text


def test_log_that_was_fetched(talking):
    """If the run directory no longer exists, the fetched copy is shown, with its path."""
    talking.pytest("--remex-collect", "-k", "one")
    for folder in talking.run_directories():
        if (folder / "input.txt").read_text() in ("one\n", "two\n"):
            shutil.rmtree(folder)
    result = talking.pytest("--remex-log", "-k", "one or two")
    result.stdout.fnmatch_lines(
        ["==> *job.out, as it was fetched <==", "one", "*text=two*", "?there is no output?"]
    )


def test_output_outside_the_run_directory(empty_project, tmp_path):
    """It is not fetched, so that log and the message of a failure name its path."""
    logs = tmp_path / "logs"
    logs.mkdir()
    empty_project.commit(run_sbatch=f"#!/bin/sh\n#SBATCH -o {logs}/%x.out\nexit 3\n")
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep()
        def one():
            yield
        """)
    empty_project.ran()
    said = empty_project.pytest("--remex-log").stdout
    said.fnmatch_lines([f"?its output is {logs}/*.out, outside the run directory?"])
    said = empty_project.pytest("--remex-collect").stdout
    said.fnmatch_lines([f"to see more: less '{logs}/*.out'; to run it again: *"])


def test_log_of_what_was_not_submitted(project):
    """An experiment that was not submitted has no log, and is skipped."""
    result = project.pytest("--remex-log", "-v")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*NOT SUBMITTED*"])
