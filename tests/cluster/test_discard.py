"""Cancel ends an interrupted launch, whatever it was interrupted at; a later submit starts anew."""

import signal

import pytest
from support import shims as faults
from support.daemons import wait_until
from support.invariants import Snapshot, assert_clean, executions, user_jobs
from support.kills import EDGES, kill_at
from support.launches import finished

NO_RELEASE = 'if [ "$1" = release ]; then exec sleep 10; fi'
OPEN = EDGES[: EDGES.index("RELEASED")]
GROUPED = OPEN[OPEN.index("PLACED") :]
"""Before these, nothing knows that runs are grouped."""


@pytest.mark.parametrize(
    ("states", "options"),
    [(OPEN, ()), (GROUPED, ("--remex-array",)), (GROUPED, ("--remex-pack=2",))],
    ids=["single", "array", "pack"],
)
def test_cancelled_after_each_kill(user, cluster, shims, states, options):
    """Nothing is left of a launch that was killed at any state; submit sends each run once."""
    before = Snapshot.of(user.repository)
    shims.put(NO_RELEASE, "scontrol")
    for state in states:
        _cancelled(user, cluster, before, state, *options)
    shims.put(f'if [ "$1" = --parsable ]; then {faults.KILLS_PARENT}; fi')
    _cancelled(user, cluster, before, "INDOUBT", *options)
    shims.remove()
    assert user.submit(*options).text.count("] SUBMITTED ") == 3
    cluster.wait()
    assert sum(executions(user).values()) == 3
    assert user.collect().succeeded().text.count(" PASSED ") == 3
    assert_clean(user, before)


def _cancelled(user, cluster, before, state, *options):
    kill_at(user, state, 3 if state == "COMMITTED" else 1, *options)
    done = user.pytest("--remex-cancel", "-v").succeeded()
    assert "3 cancelled in " in done, f"{state}\n{done.text}"
    states = {job.state for job in user_jobs(user, cluster)}
    assert states <= {"CANCELLED"}, (state, cluster.jobs())
    assert_clean(user, before)
    status = user.pytest("--remex-status", "-v").reported()
    assert "3 not submitted" in status, f"{state}\n{status.text}"


@pytest.mark.parametrize("state", ["PUSHED", "HELD"])
def test_cancelled_by_another_client(user, other, cluster, shims, state):
    """A client that is still at it finds its runs cancelled by another one, and sends new ones."""
    before = Snapshot.of(user.repository)
    shims.put(NO_RELEASE, "scontrol")
    process = user.start("--remex-submit", "-v")
    wait_until(lambda: user.has_reached(state), state)
    process.send_signal(signal.SIGSTOP)
    assert "3 cancelled in " in other.pytest("--remex-cancel", "-v").succeeded()
    process.send_signal(signal.SIGCONT)
    finished(process).without_traceback()
    assert all(job.state == "CANCELLED" for job in user_jobs(user, cluster)), cluster.jobs()
    shims.remove()
    assert user.submit("--remex-retry").text.count("] SUBMITTED ") == 3
    assert other.submit().text.count(" ALREADY SUBMITTED ") == 3
    cluster.wait()
    assert sum(executions(user).values()) == 3
    assert_clean(user, before)


@pytest.mark.parametrize("options", [(), ("--remex-array",)], ids=["single", "array"])
def test_some_cancelled(user, cluster, shims, options):
    """Of an interrupted launch only what was selected is cancelled; a submit finishes the rest."""
    shims.put(NO_RELEASE, "scontrol")
    kill_at(user, "HELD", 3, *options)
    done = user.pytest("--remex-cancel", "-v", "-k", "1.0").succeeded()
    assert "1 cancelled in " in done, done.text
    shims.remove()
    assert user.submit("--remex-retry").text.count("] SUBMITTED ") == 3
    cluster.wait()
    assert sum(executions(user).values()) == 3
    assert user.collect().succeeded().text.count(" PASSED ") == 3


def test_cancelled_retry(user, cluster):
    """Where the launch was a retry, the failed run is again the one that counts."""
    user.script("[ $mass != 2.0 ] || [ -e ../../fixed ] || exit 3")
    user.submit()
    cluster.wait()
    user.pytest("--remex-status").reported()
    kill_at(user, "PLACED", 1, "--remex-retry")
    done = user.pytest("--remex-cancel", "-v").succeeded()
    assert "2 completed, 1 cancelled in " in done, done.text
    assert "1 failed, 2 completed in " in user.pytest("--remex-status").reported()
    (user.project.runs.parent / "fixed").touch()
    assert user.submit().text.count(" ALREADY SUBMITTED ") == 3
    assert user.submit("--remex-retry").text.count("] SUBMITTED ") == 1
    assert user.collect().succeeded().text.count(" PASSED ") == 3
