"""Ctrl-C, and kill -9 at every edge of the journal."""

import signal

import pytest
from support.daemons import wait_until

KILL = """
import os
import signal
from pytest_remex.records.journal import Journal

written = Journal._append
state, edge = os.environ.get("KILL_AT", "none before").split()

def write(self, objects):
    objects = list(objects)
    due = any(each.get("state", "head") == state for each in objects)
    if due and edge == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    written(self, objects)
    if due and edge == "after":
        os.kill(os.getpid(), signal.SIGKILL)

Journal._append = write
"""

PATCH = """
import os
import signal
from pytest_remex.repo.workspace import Workspace

prepare = Workspace.prepare

def killed(*arguments):
    if os.environ.get("KILL_AT") == "patch":
        os.kill(os.getpid(), signal.SIGKILL)
    return prepare(*arguments)

Workspace.prepare = killed
"""

SLOW = """
import pathlib
import time
from pytest_remex.records.journal import Journal

written = Journal.write

def write(self, events):
    events = list(events)
    if any(getattr(event, "stage", "") == "PLACED" for event in events):
        pathlib.Path(__file__).with_name("in-flight").touch()
        time.sleep(1)
    written(self, events)

Journal.write = write
"""

EDGES = [
    "head after",
    "COMMITTED after",
    "PUSHING after",
    "PUSHED after",
    "PLACED before",
    "PLACED after",
    "SUBMITTING after",
    "HELD before",
    "HELD after",
    "RELEASED before",
    "RELEASED after",
    "TIDIED before",
]


def ran_once(project):
    """Assert that each experiment has exactly one job that ran, and that all is tidy."""
    project.wait()
    result = project.pytest("--remex-status", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["COMPLETED 3 *"])
    assert len(project.run_directories()) == 3
    assert sorted((folder / "job.out").read_text() for folder in project.run_directories()) == [
        f"a = {a}\n" for a in (1, 2, 3)
    ]
    outputs = list((project.runs / ".remex" / "local" / "states").iterdir())
    assert len(outputs) == 3
    assert not list((project.runs / ".remex").glob("staging/*"))
    assert not any((project.path / ".git" / "worktrees").glob("*"))
    assert [name for name in project.refs() if name.startswith("refs/heads/")] == [
        "refs/heads/main"
    ]


@pytest.mark.parametrize("edge", EDGES)
def test_kill(project, edge):
    """Killed at any edge of the journal, the same command again finishes exactly once."""
    project.write("conftest.py", KILL)
    killed = project.start("--remex-submit", KILL_AT=edge)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert project.pytest("--remex-submit").ret == 0
    project.submit().assert_outcomes(skipped=3)
    ran_once(project)


@pytest.mark.parametrize("edge", EDGES[1 : EDGES.index("RELEASED after")])
def test_cancelled_after_a_kill(project, edge):
    """Killed at any edge before a release, and cancelled, no job is left; submit starts anew."""
    project.write("conftest.py", KILL)
    project.start("--remex-submit", KILL_AT=edge).communicate(timeout=60)
    began = project.run_directories()
    result = project.pytest("--remex-cancel")
    assert result.ret == 0
    assert "interrupted" not in result.stdout.str()
    if edge == "RELEASED before":  # its job has been released
        return
    project.pytest("--remex-status").stdout.fnmatch_lines(["3 not submitted"])
    assert [sorted(path.iterdir()) for path in began] == [[path / ".remex"] for path in began]
    project.submit().assert_outcomes(passed=3)
    project.wait()
    result = project.pytest("--remex-collect")
    result.assert_outcomes(passed=3)
    ran = [path for path in project.run_directories() if (path / "job.out").exists()]
    assert len(ran) == 3
    assert not set(ran) & set(began)


def test_cancelled_after_its_jobs_ended(project):
    """Jobs of an interrupted launch that ran meanwhile keep their outputs, and are collected."""
    project.write("conftest.py", KILL)
    project.start("--remex-submit", KILL_AT="RELEASED before").communicate(timeout=60)
    project.wait()
    project.pytest("--remex-cancel").stdout.fnmatch_lines(["=* 3 completed in *"])
    ran_once(project)
    project.pytest("--remex-collect").assert_outcomes(passed=3)


def test_record_cut_in_a_line(project):
    """A record whose last line a crash cut short is read up to there, and finished."""
    project.write("conftest.py", KILL)
    project.start("--remex-submit", KILL_AT="PLACED after").communicate(timeout=60)
    (path,) = project.record_paths()
    path.write_bytes(path.read_bytes()[:-9])
    assert project.pytest("--remex-submit").ret == 0
    ran_once(project)


def test_status_of_an_interrupted_submit(project):
    """Between the crash and the next submit, the states are UNKNOWN, with the fix."""
    project.write("conftest.py", KILL)
    project.start("--remex-submit", KILL_AT="SUBMITTING after").communicate(timeout=60)
    result = project.pytest("--remex-status", "-v")
    result.stdout.fnmatch_lines(["*a=1] UNKNOWN*", "*run --remex-submit again*"])
    plan = project.pytest("--remex-plan")
    plan.stdout.fnmatch_lines(["*a=1]*INTERRUPTED at SUBMITTING*"])


def test_renamed_after_a_crash(project):
    """A launch that was interrupted is finished also when the sweep has another name by now."""
    project.write("conftest.py", KILL)
    project.start("--remex-submit", KILL_AT="PLACED after").communicate(timeout=60)
    project.edit("sweeps.py", "def grid", "def new_name")
    assert project.pytest("--remex-submit").ret == 0
    ran_once(project)


@pytest.mark.parametrize("mode", [(), ("--remex-plan",), ("--remex-submit",)], ids=str)
def test_killed_in_a_patch(project, tmp_path, mode):
    """What a pytest that was killed left among temporary files is removed by the next one."""
    area = tmp_path / "temporary"
    area.mkdir()
    project.write("conftest.py", PATCH)
    killed = project.start("sweeps.py", *mode, KILL_AT="patch", TMPDIR=str(area))
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert list(area.iterdir()) != []
    dry_run = project.start("sweeps.py", TMPDIR=str(area))
    dry_run.communicate(timeout=60)
    assert dry_run.returncode == 0
    assert list(area.iterdir()) == []


def interrupted(running, marker):
    """Press Ctrl-C once a file is there; return the command's exit code and what it printed."""
    wait_until(marker.exists, f"{marker.name} is there", seconds=30)
    running.send_signal(signal.SIGINT)
    printed, _ = running.communicate(timeout=60)
    return running.returncode, printed


def test_interrupt_finishes_the_batch(project):
    """Ctrl-C during a batch finishes it, reports it, and leaves nothing behind."""
    project.write("conftest.py", SLOW)
    running = project.start("--remex-submit", "-v")
    code, text = interrupted(running, project.path / "in-flight")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "finishing the batch in flight" in text
    assert "Traceback" not in text, text
    for job in (1, 2, 3):
        assert f"SUBMITTED job {job}" in text
    assert "3 experiments submitted in launch" in text
    (project.path / "conftest.py").unlink()
    ran_once(project)


def test_interrupt_in_a_patch(empty_project):
    """Ctrl-C in a patch says what was not submitted, and the next command submits it."""
    empty_project.sweeps("""
        import pathlib, time
        from pytest_remex import sweep
        @sweep({"a": [1, 2, 3]})
        def grid(experiment):
            (experiment.path / "input.txt").write_text(f"a = {experiment.config['a']}\\n")
            marker = pathlib.Path(__file__).with_name("in-patch")
            if experiment.config["a"] == 3 and not marker.exists():
                marker.touch()
                time.sleep(30)
        """)
    running = empty_project.start("--remex-submit")
    code, text = interrupted(running, empty_project.path / "in-patch")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "2 experiments were prepared and not submitted: run the same command again" in text
    assert empty_project.jobs() == []
    assert empty_project.pytest("--remex-submit").ret == 0
    ran_once(empty_project)


def test_two_at_once(project):
    """A second submit from the same output folder meanwhile is asked to wait."""
    project.write("conftest.py", SLOW)
    running = project.start("--remex-submit")
    wait_until((project.path / "in-flight").exists, seconds=30)
    (project.path / "conftest.py").unlink()
    result = project.pytest("--remex-submit")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: another pytest is submitting from *: wait until it has finished"]
    )
    running.communicate(timeout=60)
    assert running.returncode == 0
    ran_once(project)


SLEEPY = """
import pathlib
import time

from pytest_remex import sweep

@sweep({"a": [*range(50)]})
def grid(experiment):
    (experiment.path / "input.txt").write_text(f"a = {experiment.config['a']}\\n")
    if experiment.config["a"] == 10:
        pathlib.Path(__file__).with_name("in-flight").touch()
        time.sleep(60)
    yield
"""


def test_interrupted_plan(project):
    """Ctrl-C in a plan says in one line how far it came and what is next, and leaves nothing."""
    project.sweeps(SLEEPY)
    refs = project.refs()
    running = project.start("--remex-plan")
    _, printed = interrupted(running, project.path / "in-flight")
    line = "nothing was sent: the same command again (stopped after 10 of 50 experiments)"
    assert line in printed.splitlines()
    assert "asks for" not in printed
    assert project.refs() == refs
    assert not any((project.path / ".git" / "worktrees").glob("*"))


@pytest.mark.parametrize("mode", ["--remex-plan", "--remex-submit", "--remex-collect"])
def test_interrupted_collection(project, mode):
    """Ctrl-C while pytest still collects says that nothing was sent, and what is next."""
    project.sweeps("import pathlib, time\npathlib.Path('imported').touch()\ntime.sleep(60)\n")
    running = project.start(mode)
    code, text = interrupted(running, project.path / "imported")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "Traceback" not in text
    line = "next: the same command again: stopped before anything was asked or sent"
    assert line in text.splitlines()


LATE = """
import atexit
import pathlib
import time

def late(*args):
    pathlib.Path("at-the-end").touch()
    time.sleep(60)

{how}
"""
MOMENTS = {
    "closing": ("pytest_sessionfinish = lambda: late()", True, 2),
    "the summary": ("pytest_terminal_summary = lambda: late()", False, 2),
    "the cleanup": ("pytest_unconfigure = lambda: late()", False, 2),
    "Python's exit": ("atexit.register(late)", False, -signal.SIGINT),
}


@pytest.mark.parametrize(("how", "is_told", "code"), MOMENTS.values(), ids=[*MOMENTS])
@pytest.mark.parametrize("mode", ["--remex-submit", "--remex-status"])
def test_interrupted_after_the_last_item(project, mode, how, is_told, code):
    """Ctrl-C while pytest ends shows no traceback, and what is next if no summary said so."""
    project.write("conftest.py", LATE.format(how=how))
    running = project.start(mode)
    ended, text = interrupted(running, project.path / "at-the-end")
    assert ended == code
    assert "Traceback" not in text, text
    assert ("stopped by Ctrl-C before the summary was complete" in text) is is_told
    assert sum(line.startswith("next: ") for line in text.splitlines()) == 1, text
    (project.path / "conftest.py").unlink()
    if mode == "--remex-submit":
        ran_once(project)


def test_interrupted_submit_of_a_variant(project):
    """After Ctrl-C while a submit of a variant ends, the next command asks for that variant."""
    project.write("conftest.py", LATE.format(how=MOMENTS["closing"][0]))
    running = project.start("--remex-submit", "--remex-base=HEAD")
    _, text = interrupted(running, project.path / "at-the-end")
    line = "next: --remex-status shows what was submitted (with --remex-base=HEAD)"
    assert line in text.splitlines()


WITHOUT_LINES = """
from pytest_remex import sweep

def interrupted():
    raise KeyboardInterrupt

interrupted.__code__ = interrupted.__code__.replace(co_linetable=b"")

@sweep({"a": [1, 2, 3]})
def grid(experiment):
    interrupted()
"""


@pytest.mark.parametrize("mode", [(), ("--remex-submit",)])
def test_interrupted_between_two_lines(empty_project, mode):
    """Ctrl-C at an instruction that belongs to no line of code ends like any other."""
    empty_project.sweeps(WITHOUT_LINES)
    running = empty_project.start(*mode, "sweeps.py")
    text, _ = running.communicate(timeout=60)
    assert running.returncode == pytest.ExitCode.INTERRUPTED
    assert "Traceback" not in text, text
    assert "KeyboardInterrupt" in text
