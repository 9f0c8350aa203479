"""The local scheduler, for real: jobs run on this machine, in a queue that outlives the agent."""

import os
import signal
import subprocess
import sys

import pytest
from support.agents import has_ended
from support.daemons import wait_until

from pytest_remex.agent import folder
from pytest_remex.agent.local.store import CANCELLED, RELEASED, Store
from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import Array, HeaderOptions, RunJob, WantedSubmission
from pytest_remex.common.protocol import (
    LOCAL,
    Cancel,
    Cancelled,
    NotCancelled,
    Query,
    Release,
    Submit,
)

KILLED_QUEUE = """
import os, signal, sys
from pytest_remex.agent.local.job import RunningJob
from pytest_remex.agent.local.store import Store, tasks
store = Store(sys.argv[1])
(task,) = tasks(store.spec(sys.argv[2]))
print(RunningJob(store, task).state().pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Runs:
    """A runs folder with run directories made by hand, driven through an agent."""

    def __init__(self, agent, folder):
        self.agent, self.folder = agent, folder
        folder.mkdir()

    def add(self, name, script):
        """Make a run directory with a script."""
        path = self.folder / name
        (path / ".remex").mkdir(parents=True)
        (path / "run.sbatch").write_text(script)
        return path

    def submission(self, *names, array=None, job_number=1, environment=None, **header):
        """Return what is submitted."""
        return WantedSubmission(
            key=names[0],
            directories=list(names),
            comment="remex:test",
            job_number=job_number,
            environment=environment or {},
            header=HeaderOptions(**header),
            array=array,
        )

    def submit(self, *submissions, agent=None):
        """Submit and return the held events by key."""
        request = Submit(str(self.folder), "L", "T", LOCAL, list(submissions))
        return {event.key: event for event in (agent or self.agent).ask(request)}

    def release(self, *jobs):
        """Release jobs."""
        return self.agent.ask(Release(str(self.folder), LOCAL, [RunJob("", job) for job in jobs]))

    def cancel(self, *jobs):
        """Cancel jobs."""
        return self.agent.ask(Cancel(str(self.folder), LOCAL, [RunJob("", job) for job in jobs]))

    def job(self, name, job):
        """Ask for one job."""
        (answer,) = self.agent.ask(Query(str(self.folder), LOCAL, [RunJob(name, job)]))
        return answer.job

    def wait(self, name, job, *states):
        """Wait until a job is in one of the states."""
        return wait_until(
            lambda: (found := self.job(name, job)).state in states and found, seconds=30
        )

    def run(self, directory, script, environment=None, **header):
        """Run a script to its end and return the job."""
        self.add(directory, script)
        submission = self.submission(directory, environment=environment, **header)
        job = self.submit(submission)[directory].job
        self.release(job)
        return self.wait(directory, job, "COMPLETED", "FAILED", "TIMEOUT")


@pytest.fixture
def runs(agent_here, tmp_path):
    """Return a runs folder, driven through an agent; what still runs at the end is cancelled."""
    made = Runs(agent_here, tmp_path / "runs")
    yield made
    store = Store(str(made.folder))
    for job in store.marked(RELEASED):
        store.mark(CANCELLED, job)


def test_a_job_runs_its_script_in_its_run_directory(runs):
    """A released job runs run.sbatch by its #! line and leaves the default output file."""
    job = runs.run("r", "#!/bin/sh\npwd\necho $0\ncat\n")
    assert (job.state, job.exit_code, job.source) == ("COMPLETED", 0, "local")
    lines = (runs.folder / "r" / "slurm-1.out").read_text().splitlines()
    assert lines == [str(runs.folder / "r"), str(runs.folder / "r" / "run.sbatch")]
    assert (runs.folder / "r" / ".remex" / "exit").read_text() == "0\n"
    assert (runs.folder / "r" / ".remex" / "job").read_text() == "1\n"


def test_a_job_waits_until_it_is_released(runs):
    """A submitted job is held; nothing of it runs."""
    runs.add("r", "#!/bin/sh\ntouch ran\n")
    job = runs.submit(runs.submission("r"))["r"].job
    assert runs.job("r", job).state is JobState.HELD
    assert not (runs.folder / "r" / "ran").exists()


def test_a_brief_query_reports_what_ended(runs):
    """It leaves out jobs that have not ended, since it is asked for what is to be recorded."""
    ended = runs.run("a", "#!/bin/sh\nexit 0\n")
    runs.add("b", "#!/bin/sh\n")
    held = runs.submit(runs.submission("b"))["b"].job
    asked = [RunJob("a", ended.id), RunJob("b", held)]
    events = runs.agent.ask(Query(str(runs.folder), LOCAL, asked, brief=True))
    assert [(event.directory, event.job) for event in events] == [("a", ended)]


def test_a_failing_script_is_a_failed_job_with_its_exit_code(runs):
    """Exit code 3 makes FAILED with 3; a signal makes FAILED with its number."""
    failed = runs.run("a", "#!/bin/sh\nexit 3\n")
    assert (failed.state, failed.exit_code, failed.signal) == ("FAILED", 3, None)
    killed = runs.run("b", "#!/bin/sh\nkill -9 $$\n")
    assert (killed.state, killed.signal) == ("FAILED", 9)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo no first line\n", "no #! line"),
        ("#!/bin/sh\r\necho\r\n", "Windows line endings"),
        ("#!/no/such/shell\n", "/no/such/shell"),
    ],
)
def test_a_script_that_cannot_start_fails_with_the_reason(runs, script, reason):
    """The fault of a script is the job's reason."""
    job = runs.run("r", script)
    assert job.state is JobState.FAILED
    assert reason in job.reason


def test_output_patterns_and_slurm_variables(runs):
    """-o, -e and -J are obeyed, and a script sees the usual SLURM_* variables."""
    script = '#!/bin/sh\necho "$SLURM_JOB_NAME $SLURM_SUBMIT_DIR $EXTRA"\necho err >&2\n'
    header = {"output": "%x-%3j.log", "error": "e.%%", "name": "star"}
    assert runs.run("r", script, {"EXTRA": "more"}, **header).state == "COMPLETED"
    folder = runs.folder / "r"
    assert (folder / "star-001.log").read_text() == f"star {folder} more\n"
    assert (folder / "e.%").read_text() == "err\n"


def test_a_time_limit_ends_the_whole_process_group(runs):
    """After its time limit a job is TIMEOUT, and its child processes have ended too."""
    job = runs.run("r", "#!/bin/sh\nsleep 600 &\necho $! > child\nwait\n", time_limit=0.3)
    assert job.state is JobState.TIMEOUT
    child = int((runs.folder / "r" / "child").read_text())
    wait_until(lambda: has_ended(child))


def test_cancel_ends_running_and_waiting_jobs(runs):
    """A cancelled job is CANCELLED, whether it ran or was held; an unknown one says so."""
    runs.add("a", "#!/bin/sh\ntouch started\nexec sleep 600\n")
    runs.add("b", "#!/bin/sh\ntouch started\n")
    held = runs.submit(runs.submission("a"), runs.submission("b"))
    runs.release(held["a"].job)
    wait_until((runs.folder / "a" / "started").exists)
    events = runs.cancel(held["a"].job, held["b"].job, "99")
    assert list(map(type, events)) == [Cancelled, Cancelled, NotCancelled]
    assert runs.wait("a", held["a"].job, "CANCELLED").elapsed > 0
    assert runs.wait("b", held["b"].job, "CANCELLED")
    assert not (runs.folder / "b" / "started").exists()


def test_a_cancel_waits_for_jobs_that_take_a_moment_to_end(runs):
    """A job that tidies up when it is asked to end has ended when the cancel returns."""
    path = runs.add(
        "r", "#!/bin/sh\ntrap 'sleep 0.5; exit 1' TERM\ntouch started\nsleep 600 & wait\n"
    )
    job = runs.submit(runs.submission("r"))["r"].job
    runs.release(job)
    wait_until((path / "started").exists)
    runs.cancel(job)
    assert runs.job("r", job).state is JobState.CANCELLED


def test_submitting_twice_gives_the_same_job(runs, start_agent):
    """A second submit of the same job number, by any agent, finds the first job."""
    runs.add("r", "#!/bin/sh\n")
    first = runs.submit(runs.submission("r"))["r"]
    assert (
        runs.submit(runs.submission("r"), agent=start_agent(modules=folder()))["r"].job == first.job
    )
    assert runs.submit(runs.submission("r", job_number=2))["r"].job != first.job


def test_at_most_one_job_a_core(runs):
    """Two queues of one user together run no more jobs than there are cores."""
    cores = len(os.sched_getaffinity(0))
    count = cores * 3
    script = (
        "#!/bin/sh\nmkdir ../running/$$\nls ../running | wc -l > seen\n"
        "sleep 0.2\nrmdir ../running/$$\n"
    )
    (runs.folder / "running").mkdir()
    submissions = []
    for number in range(count):
        runs.add(f"r{number}", script)
        submissions.append(runs.submission(f"r{number}"))
    held = runs.submit(*submissions)
    runs.release(*[event.job for event in held.values()])
    for key, event in held.items():
        assert runs.wait(key, event.job, "COMPLETED", "FAILED").state == "COMPLETED"
    seen = [int((runs.folder / key / "seen").read_text()) for key in held]
    assert 1 <= max(seen) <= cores


def test_jobs_outlive_the_agent(runs, start_agent):
    """A job continues when the agent that released it is killed."""
    runs.agent = start_agent(modules=folder())
    runs.add("r", "#!/bin/sh\ntouch started\nsleep 1\ntouch ended\n")
    job = runs.submit(runs.submission("r"))["r"].job
    runs.release(job)
    wait_until((runs.folder / "r" / "started").exists)
    runs.agent.process.send_signal(signal.SIGKILL)
    wait_until((runs.folder / "r" / "ended").exists)
    runs.agent = start_agent(modules=folder())
    assert runs.wait("r", job, "COMPLETED")


def test_a_killed_queue_loses_only_what_ran(runs):
    """Running jobs of a killed queue are ended as NODE_FAIL; waiting jobs run under the next."""
    cores = len(os.sched_getaffinity(0))
    long = [f"long{number}" for number in range(cores)]
    for name in long:
        runs.add(name, "#!/bin/sh\necho $PPID > queue\necho $$ > pid\nexec sleep 600\n")
    runs.add("next", "#!/bin/sh\n")
    held = runs.submit(*[runs.submission(name) for name in [*long, "next"]])
    runs.release(*[event.job for event in held.values()])
    for name in long:
        wait_until(lambda name=name: _text(runs.folder / name / "pid"))
    queue = int(_text(runs.folder / long[0] / "queue"))
    os.kill(queue, signal.SIGKILL)
    wait_until(lambda: has_ended(queue))
    for name in long:
        assert runs.wait(name, held[name].job, "NODE_FAIL")
        pid = int((runs.folder / name / "pid").read_text())
        wait_until(lambda pid=pid: has_ended(pid))
    assert runs.wait("next", held["next"].job, "COMPLETED")


def test_a_job_that_was_not_recorded_does_not_run(runs):
    """A queue that is killed between starting a job's process and recording it leaves no job."""
    runs.add("r", "#!/bin/sh\ntouch ran\n")
    job = runs.submit(runs.submission("r"))["r"].job
    words = [sys.executable, "-c", KILLED_QUEUE, str(runs.folder), job]
    killed = subprocess.run(words, check=False, stdout=subprocess.PIPE, text=True)
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: has_ended(int(killed.stdout)))
    assert not (runs.folder / "r" / "ran").exists()
    runs.release(job)
    assert runs.wait("r", job, "COMPLETED")
    assert (runs.folder / "r" / "ran").exists()


def test_an_array_runs_each_task_in_its_own_run_directory(runs):
    """Each task of an array has its own id, output and state; at most `throttle` run at once."""
    names = ["t0", "t1", "t2"]
    for number, name in enumerate(names):
        runs.add(name, f"#!/bin/sh\necho $SLURM_ARRAY_TASK_ID\nexit {number}\n")
    array = Array([], "#!/bin/sh", 1)
    held = runs.submit(runs.submission(*names, array=array))["t0"]
    assert held.jobs == {"t0": "1_0", "t1": "1_1", "t2": "1_2"}
    runs.release(held.job)
    states = [runs.wait(name, held.jobs[name], "COMPLETED", "FAILED").exit_code for name in names]
    assert states == [0, 1, 2]
    assert (runs.folder / "t2" / "slurm-1_2.out").read_text() == "2\n"


def test_an_unknown_job_is_lost(runs):
    """The local scheduler knows all its jobs: one that it does not know never existed."""
    assert runs.job("r", "7").state is JobState.LOST


@pytest.mark.parametrize(
    "text",
    ['{"state": 3}', "[" * 200_000, '{"state": "FAILED", "format": 9}'],
    ids=["type", "nested", "newer"],
)
def test_a_damaged_state_is_that_jobs_fault_alone(runs, text):
    """A job whose file cannot be read is UNKNOWN with the reason; the others are reported."""
    runs.add("a", "#!/bin/sh\n")
    runs.add("b", "#!/bin/sh\n")
    held = runs.submit(runs.submission("a"), runs.submission("b"))
    runs.release(*[event.job for event in held.values()])
    for name, event in held.items():
        runs.wait(name, event.job, "COMPLETED")
    state = runs.folder / ".remex" / "local" / "states" / held["a"].job
    state.write_text(text)
    found = runs.job("a", held["a"].job)
    assert found.state is JobState.UNKNOWN
    assert "cannot be used" in found.reason
    assert runs.job("b", held["b"].job).state is JobState.COMPLETED


def _text(path):
    return path.exists() and path.read_text()
