"""Batches: one is in flight while the next one is prepared."""

import signal
import time

import pytest
from support.daemons import wait_until

from pytest_remex.records.fields import parsed

BATCHES_OF_ONE = """
import os
import pathlib
import signal
import time
import pytest
import pytest_remex.launch.submitter
from pytest_remex.records.journal import Journal

pytest_remex.launch.submitter.LEAST = 1
pytest_remex.launch.submitter.BATCH = int(os.environ.get("BATCH", 1))
written = Journal.write
mode = os.environ.get("MODE", "")
pushes = []

@pytest.fixture(autouse=True)
def ends(request):
    yield
    assert mode != "ends badly" or "a=1" not in request.node.name

def pytest_runtest_logfinish(nodeid):
    with pathlib.Path(__file__).with_name("reported").open("a") as file:
        file.write(f"{nodeid} {len(pushes)}\\n")

def write(self, events):
    events = list(events)
    pushes.extend(event for event in events if hasattr(event, "tip"))
    for event in events:
        if mode == "taken" and getattr(getattr(event, "run", None), "id", "") == "a=1":
            pathlib.Path(os.environ["RUNS"], event.run.directory).mkdir(parents=True)
    if not any(getattr(event, "stage", "") == "PLACED" for event in events):
        written(self, events)
        return
    if mode == "stays":
        while True:
            time.sleep(0.1)
    end = time.monotonic() + 20
    while mode == "meets" and not pathlib.Path(__file__).with_name("second-patch").exists():
        assert time.monotonic() < end, "nothing was prepared meanwhile"
        time.sleep(0.02)
    if mode == "breaks":
        children = pathlib.Path("/proc/self/task", str(os.getpid()), "children").read_text()
        for child in children.split():
            if b"python" in pathlib.Path("/proc", child, "cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)
    written(self, events)

Journal.write = write
"""

SWEEP = """
import os
import pathlib
import time
from pytest_remex import sweep

@sweep({"a": [1, 2, 3]})
def grid(experiment):
    (experiment.path / "input.txt").write_text(f"a = {experiment.config['a']}\\n")
    if experiment.config["a"] == 2:
        pathlib.Path(__file__).with_name("second-patch").touch()
        time.sleep(float(os.environ.get("PATCH", 0)))
    if experiment.config["a"] == 3:
        pathlib.Path(__file__).with_name("third-patch").touch()
"""


@pytest.fixture
def batches(empty_project):
    """Return a project whose every experiment is a batch."""
    empty_project.sweeps(SWEEP)
    empty_project.write("conftest.py", BATCHES_OF_ONE)
    return empty_project


def assert_finishes(project):
    """Assert that the same command submits what is left, and that each experiment has one job."""
    assert project.pytest_alone("--remex-submit").ret == 0
    project.wait()
    result = project.pytest_alone("--remex-status", "-v")
    result.stdout.fnmatch_lines(["COMPLETED 3 *"])
    assert sorted((folder / "job.out").read_text() for folder in project.run_directories()) == [
        f"a = {a}\n" for a in (1, 2, 3)
    ]


def interrupt_in_second_patch(running, project, times=1):
    """Press Ctrl-C, as a terminal does, while the second experiment is patched."""
    wait_until((project.path / "second-patch").exists, seconds=30)
    for _ in range(times):
        time.sleep(0.3)
        running.send_signal(signal.SIGINT)
    text, _ = running.communicate(timeout=60)
    assert running.returncode == pytest.ExitCode.INTERRUPTED
    assert "Traceback" not in text, text
    return text


def test_outcomes_in_order(batches):
    """All batches of a sweep are one launch, and outcomes are in the order of experiments."""
    result = batches.pytest_alone("--remex-submit", "-v")
    result.stdout.fnmatch_lines([f"*a={a}[]] SUBMITTED job {a} *" for a in (1, 2, 3)])
    result.stdout.fnmatch_lines(["3 experiments submitted in launch grid_*"])
    assert_finishes(batches)


def test_next_one_is_prepared_meanwhile(batches):
    """The second experiment is patched while the first one's batch is sent."""
    running = batches.start("--remex-submit", MODE="meets")
    text, _ = running.communicate(timeout=60)
    assert running.returncode == 0, text
    assert_finishes(batches)


def test_batch_that_is_not_full(batches):
    """While none is being sent, a batch does not wait until it is full."""
    running = batches.start("--remex-submit", MODE="meets", BATCH="9")
    text, _ = running.communicate(timeout=60)
    assert running.returncode == 0, text
    (record,) = batches.record_paths()
    states = [parsed(line).get("state") for line in record.read_bytes().splitlines()]
    assert states.count("PUSHING") > 1
    assert_finishes(batches)


def test_reports_meanwhile(batches):
    """The outcomes of a batch are reported while the next one is being sent."""
    assert batches.pytest_alone("--remex-submit").ret == 0
    reported = [line.split()[-1] for line in (batches.path / "reported").read_text().splitlines()]
    assert reported == ["2", "3", "3"]


@pytest.mark.parametrize(("mode", "sent"), [("ends badly", 1), ("taken", 0)])
def test_failure_meanwhile(batches, monkeypatch, mode, sent):
    """With -x, a failure after the patch stops the next batch, though it is prepared."""
    monkeypatch.setenv("MODE", mode)
    monkeypatch.setenv("RUNS", str(batches.runs))
    result = batches.pytest_alone("--remex-submit", "-x")
    assert result.ret in {pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}
    result.stdout.fnmatch_lines(["*a=1*"])
    assert len(batches.jobs()) == sent
    assert not (batches.path / "third-patch").exists()


def test_interrupt_meanwhile(batches):
    """Ctrl-C in a patch lets the batch in flight finish, and sends no other."""
    running = batches.start("--remex-submit", "-v", MODE="meets", PATCH="2")
    text = interrupt_in_second_patch(running, batches)
    assert "finishing the batch in flight" in text
    assert "a=1] SUBMITTED job 1" in text
    assert "1 experiment was prepared and not submitted: run the same command again" in text
    assert not (batches.path / "third-patch").exists()
    assert_finishes(batches)


def test_interrupt_twice(batches):
    """A second Ctrl-C does not wait for the batch in flight, and says so."""
    running = batches.start("--remex-submit", MODE="stays", PATCH="30")
    begun = time.monotonic()
    text = interrupt_in_second_patch(running, batches, times=2)
    assert time.monotonic() - begun < 20
    assert "1 experiment was being submitted" in text
    assert_finishes(batches)


def test_lost_agent(batches):
    """If a batch's agent dies, one message says so with the fix; later batches are not sent."""
    running = batches.start("--remex-submit", "-v", MODE="breaks")
    text, _ = running.communicate(timeout=60)
    assert running.returncode == pytest.ExitCode.INTERRUPTED, text
    assert "a=1] FAILED" in text
    assert "run the same command again" in text
    assert "SUBMITTED job" not in text
    assert not (batches.path / "third-patch").exists()
    assert_finishes(batches)
