"""A squeue or sacct that lags, or leaves rows out: no job is lost, held or doubled."""

from __future__ import annotations

import pytest
from support import query_faults as faults
from support.daemons import wait_until
from support.invariants import Snapshot, assert_clean, assert_once, user_jobs
from support.sites import WITH_ACCOUNTING

LAG = 8
SINGLE_AND_ARRAY = pytest.mark.parametrize(
    "options", [(), ("--remex-array",)], ids=["single", "array"]
)
NOT_WRONG = {"PENDING", "HELD", "RUNNING", "COMPLETING", "COMPLETED", "UNKNOWN"}
"""States that may be told of a job that Slurm has, and that ends well."""


@SINGLE_AND_ARRAY
@pytest.mark.parametrize("lag", [faults.blind, faults.cached], ids=["blind", "cached"])
def test_lag(user, cluster, shims, tmp_path, lag, options):
    """With a listing that is seconds old, submit and the status after it end with one job each."""
    before = Snapshot.of(user.repository)
    shims.put(lag(tmp_path, LAG), "squeue")
    user.pytest("--remex-submit", *options).without_traceback()
    states = {row["state"] for row in user.states().values()}
    assert states <= NOT_WRONG
    shims.remove()
    user.pytest("--remex-submit", *options).succeeded()
    user.pytest("--remex-status").reported()
    assert_once(user, cluster, 3)
    assert_clean(user, before)


@pytest.mark.parametrize("lag", [faults.blind, faults.cached], ids=["blind", "cached"])
def test_lag_while_cancelling(user, cluster, shims, tmp_path, lag):
    """A job that a listing does not show yet is not reported as cancelled, but is later."""
    user.script("sleep 300")
    user.submit()
    shims.put(lag(tmp_path, LAG), "squeue")
    shown = user.pytest("--remex-cancel", "-v").without_traceback().text.count("] CANCELLED job")
    wait_until(lambda: shown <= len(user_jobs(user, cluster, "CANCELLED")), "what was told is true")
    shims.remove()
    user.pytest("--remex-cancel").without_traceback()
    wait_until(lambda: len(user_jobs(user, cluster, "CANCELLED")) == 3, "all are cancelled")


@SINGLE_AND_ARRAY
def test_moved_and_not_listed(user, cluster, shims, options):
    """A job that a listing lacks is its run's, also if the runs folder was moved since."""
    user.script("touch begun; sleep 300")
    user.submit(*options)
    wait_until(lambda: len([*user.project.runs.glob("*/begun")]) == 3, "all jobs run")
    new = user.project.runs.with_name("moved")
    user.project.runs.rename(new)
    user.ini(remex_runs=str(new))
    shims.put("exit 0", "squeue")
    states = {row["state"] for row in user.states().values()}
    assert states <= NOT_WRONG - {"UNKNOWN"}
    assert "3 already submitted" in user.pytest("--remex-submit", "--remex-retry").succeeded()
    user.pytest("--remex-cancel").succeeded()
    wait_until(lambda: len(user_jobs(user, cluster, "CANCELLED")) == 3, "all are cancelled")


@SINGLE_AND_ARRAY
@pytest.mark.parametrize(
    "fault",
    [faults.PARTIAL, faults.PARTIAL_AND_FAILED, faults.CUT],
    ids=["partial", "failed", "cut"],
)
@WITH_ACCOUNTING
def test_partial(user, cluster, shims, fault, options):
    """Rows that are missing, or cut, make no job lost, failed or submitted twice."""
    before = Snapshot.of(user.repository)
    shims.put(fault, "squeue")
    user.pytest("--remex-submit", *options).without_traceback()
    assert {row["state"] for row in user.states().values()} <= NOT_WRONG
    user.pytest("--remex-submit", *options).without_traceback()
    shims.remove()
    user.pytest("--remex-submit", *options).succeeded()
    user.pytest("--remex-status").reported()
    assert_once(user, cluster, 3)
    assert_clean(user, before)
    user.collect().succeeded()


@pytest.mark.parametrize("squeue", ["", "exit 0"], ids=["listed", "blind"])
@WITH_ACCOUNTING
def test_early_account(user, cluster, shims, squeue):
    """Sacct's row of tasks that had not started does not count for one that completed since."""
    user.submit("--remex-array")
    cluster.wait()
    wait_until(lambda: accounted(user, cluster) == ["COMPLETED"] * 3, "sacct knows all tasks")
    shims.put(faults.EARLY, "sacct")
    assert accounted(user, cluster, shims.folder / "sacct") == ["CANCELLED"]
    shims.put(squeue, "squeue")
    user.pytest("--remex-status").succeeded()
    assert {row["state"] for row in user.states().values()} == {"COMPLETED"}
    assert "3 already submitted" in user.pytest("--remex-submit", "--remex-retry").succeeded()
    user.collect().succeeded()


def accounted(user, cluster, sacct="sacct"):
    """Return the states of the user's jobs in sacct."""
    rows = cluster.run(
        str(sacct), "-n", "-X", "-P", "--delimiter=\x1f", "-o", "jobid,jobidraw,state,workdir"
    )
    mine = [row.split("\x1f") for row in rows.splitlines() if str(user.project.runs) in row]
    return [state for _, _, state, _ in mine]
