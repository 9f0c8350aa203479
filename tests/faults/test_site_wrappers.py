"""A site's scripts round Slurm's programs: a right answer, or UNKNOWN with the reason."""

from __future__ import annotations

import shlex

import pytest
from support import query_faults as faults
from support.daemons import wait_until
from support.invariants import Snapshot, assert_clean, assert_once, user_jobs
from support.shims import HANGS

EXPERIMENTS = 3
LONG = 1500.0
"""Seconds that a command may take if each question hangs."""
NOT_WRONG = {"PENDING", "HELD", "RUNNING", "COMPLETING", "COMPLETED", "UNKNOWN"}
SQUEUE = {
    "SQUEUE_FORMAT": "%i", "SQUEUE_FORMAT2": "JobID", "SQUEUE_STATES": "R", "SQUEUE_SORT": "-i",
    "SQUEUE_ARRAY": "1", "SQUEUE_USERS": "nobody", "SLURM_TIME_FORMAT": "relative",
}  # fmt: skip
SACCT = {
    "SACCT_FORMAT": "JobID", "SACCT_FEDERATION": "1", "SLURM_TIME_FORMAT": "%s",
    "SLURM_BITSTR_LEN": "4",
}  # fmt: skip
WRAPPERS = {
    "padded": faults.PADDED,
    "coloured": faults.COLOURED,
    "noisy": faults.NOISY,
    "unreachable": faults.refuses(faults.UNREACHABLE),
    "silent": faults.refuses(faults.UNREACHABLE, code=0),
    "friendly": faults.refuses("Slurm is busy, try again later", code=0, stream=1),
    "sometimes": faults.refuses_often(faults.TIMED_OUT),
    "child": faults.LEAVES_A_CHILD,
    "hangs": HANGS,
}
OF_ONE = {
    ("sacct", "disabled"): faults.refuses(faults.DISABLED),
    ("sacct", "disabled on stdout"): faults.refuses(faults.DISABLED, stream=1),
    ("squeue", "variables"): faults.exports(**SQUEUE),
    ("sacct", "variables"): faults.exports(**SACCT),
    ("sacctmgr", "hangs"): HANGS,
    ("scancel", "hangs"): HANGS,
}
FAULTS = {
    (program, name): fault
    for program in ("squeue", "sacct", "scontrol")
    for name, fault in WRAPPERS.items()
} | OF_ONE
GROUPINGS = ((), ("--remex-array",))
CASES = [
    pytest.param(
        "accounting" if program.startswith("sacct") or count % 4 > 1 else "plain",
        program,
        name,
        GROUPINGS[count % 2],
        id=f"{program}-{name.replace(' ', '-')}",
    )
    for count, (program, name) in enumerate(FAULTS)
]
with_each_wrapper = pytest.mark.parametrize(
    ("site", "program", "name", "options"), CASES, indirect=["site"]
)


@with_each_wrapper
def test_from_submit_to_collect(user, cluster, shims, tally, program, name, options):
    """Each command ends in time; nothing wrong is reported; without it all have run once."""
    before = Snapshot.of(user.repository)
    with tally.case(f"{program} {name}") as case:
        case.injected()
        shims.put(FAULTS[program, name], program)
        user.pytest("--remex-submit", *options, seconds=LONG).without_traceback()
        states = user.states(seconds=LONG)
        assert {row["state"] for row in states.values()} <= NOT_WRONG, states
        user.pytest("--remex-collect", "--remex-wait=15", seconds=LONG).reported()
        shims.remove()
        user.submit(*options)
        assert_once(user, cluster, EXPERIMENTS)
        case.check(user, EXPERIMENTS)
        assert_clean(user, before)
        assert user.collect().succeeded().text.count(" PASSED ") == EXPERIMENTS


@with_each_wrapper
def test_cancel_and_retry(user, cluster, shims, tally, program, name, options):
    """What is reported as cancelled is; a retry sends each once; without it all are finished."""
    go = user.project.runs / "go"
    user.script(f"[ -e {shlex.quote(str(go))} ] || sleep 300")
    user.submit(*options)
    # of an array that has not started, squeue has one row
    wait_until(lambda: len(user_jobs(user, cluster, "RUNNING")) == EXPERIMENTS, "all run")
    with tally.case(f"{program} {name}") as case:
        case.injected()
        shims.put(FAULTS[program, name], program)
        done = user.pytest("--remex-cancel", "-v", seconds=LONG).without_traceback()
        shown = done.text.count("] CANCELLED job")
        wait_until(
            lambda: shown <= len(user_jobs(user, cluster, "CANCELLED")), "what was told is true"
        )
        shims.remove()
        user.pytest("--remex-cancel").without_traceback()
        wait_until(lambda: len(user_jobs(user, cluster, "CANCELLED")) == EXPERIMENTS, "all are")
        go.touch()
        shims.put(FAULTS[program, name], program)
        retry = ("--remex-submit", "--remex-retry", *options)
        user.pytest(*retry, seconds=LONG).without_traceback()
        shims.remove()
        user.pytest(*retry).succeeded()
        cluster.wait()
        assert len(user_jobs(user, cluster, "COMPLETED")) == EXPERIMENTS
        assert user.collect().succeeded().text.count(" PASSED ") == EXPERIMENTS
