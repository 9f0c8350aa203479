"""Limits of jobs submitted at a time: a launch waits for room; `tests/faults` has the rest."""

from __future__ import annotations

from collections import Counter

from support.invariants import assert_once, user_jobs
from support.sites import WITH_ACCOUNTING


@WITH_ACCOUNTING
def test_backs_off(user, cluster, shims):
    """Under a submit limit a launch waits for earlier jobs to end, and continues."""
    shims.put()
    for _ in range(2):
        cluster.run("sbatch", "--wrap=sleep 4", "--output=/dev/null")
    with cluster.submit_limit(3):
        user.submit()
    assert len(shims.calls()) > 3
    assert_once(user, cluster, 3)


@WITH_ACCOUNTING
def test_an_array_above_the_limit(user, cluster):
    """An array with more tasks than MaxSubmitJobs is sent in parts, by the same command."""
    with cluster.submit_limit(2):
        done = user.pytest("--remex-submit", "--remex-array", "-v", seconds=200)
        assert "] SUBMITTED job" in done
        cluster.wait()
        user.submit("--remex-array")
    assert_once(user, cluster, 3)


@WITH_ACCOUNTING
def test_an_array_above_the_limit_of_all_users(user, cluster):
    """If GrpSubmitJobs is below the tasks of an array, the message names a way that works."""
    shorter = ("sacctmgr", "-i", "modify", "account", "name=root", "set")
    cluster.run(*shorter, "GrpSubmitJobs=2")
    try:
        done = user.pytest("--remex-submit", "--remex-array", seconds=200)
        assert "if the limit is below the 3 tasks of this array, --remex-cancel and then" in done
        user.pytest("--remex-cancel").succeeded()
        user.pytest("--remex-submit", "-v", seconds=200)
        cluster.wait()
        user.submit()
        cluster.wait()
    finally:
        cluster.run(*shorter, "GrpSubmitJobs=-1")
    assert len(user_jobs(user, cluster, "COMPLETED")) == len(user_jobs(user, cluster)) == 3


@WITH_ACCOUNTING
def test_a_limit_is_waited_for_once(user, cluster, shims):
    """Once a launch has waited for a limit in vain, later batches of it try, and do not wait."""
    user.batches(2)
    user.sweep(10, 11, 12, 13, 14, 15)
    cluster.down()
    shims.put()
    limit = ("sacctmgr", "-i", "modify", "qos", "name=normal", "set")
    cluster.run(*limit, "MaxSubmitJobsPerUser=2")
    try:
        user.pytest("--remex-submit", seconds=200).failed("run the same command again")
        runs = user.project.runs
        tries = Counter(call.folder for call in shims.calls() if call.folder.parent == runs)
        assert len(tries) > 4
        assert sum(count > 1 for count in tries.values()) <= 2
    finally:
        cluster.run(*limit, "MaxSubmitJobsPerUser=-1")
    user.submit()
    cluster.up()
    assert_once(user, cluster, 6)


@WITH_ACCOUNTING
def test_cancelled_before_it_was_submitted(user, cluster):
    """After a cancel of what a limit kept from being submitted, the next step is to submit it."""
    with cluster.submit_limit(0):
        user.pytest("--remex-submit", seconds=200).failed("run the same command again")
    assert "next: --remex-submit sends what was not" in user.pytest("--remex-cancel").succeeded()
    user.submit()
    cluster.wait()
    assert len(user_jobs(user, cluster, "COMPLETED")) == len(user_jobs(user, cluster)) == 3


@WITH_ACCOUNTING
def test_more_than_may_be_submitted(user, cluster):
    """A launch above MaxSubmitJobs says so, and doctor shows the limit."""
    cluster.down()
    with cluster.submit_limit(2):
        doctor = user.pytest("--remex-doctor").succeeded()
        assert "jobs: at most 2 in the queue at a time (MaxSubmitJobs), now 0" in doctor
        done = user.pytest("--remex-submit", "-v")
        assert (
            "at most 2 in the queue at a time (MaxSubmitJobs), now 0, and this launch has 3: "
            "run the same command again for the rest, once some have ended"
        ) in done
    cluster.up()
    user.submit()
    assert_once(user, cluster, 3)


@WITH_ACCOUNTING
def test_a_limit_of_the_qos(user, cluster):
    """Above MaxSubmitJobsPerUser of a QOS the rest is named, and sent by the same command later."""
    limit = ("sacctmgr", "-i", "modify", "qos", "name=normal", "set")
    cluster.run(*limit, "MaxSubmitJobsPerUser=2")
    try:
        cluster.down()
        done = user.pytest("--remex-submit", "-v", seconds=200)
        assert done.text.count("] SUBMITTED job") == 2
        assert done.text.count("QOSMaxSubmitJobPerUserLimit") >= 1
        done.failed("run the same command again for the rest")
        cluster.up()
        cluster.wait()
        user.submit()
    finally:
        cluster.run(*limit, "MaxSubmitJobsPerUser=-1")
    assert_once(user, cluster, 3)
