"""Jobs on another cluster than the default one: the script names it, or a federation chose it."""

from __future__ import annotations

import pytest
from support import shims as faults
from support.daemons import wait_until
from support.invariants import assert_once, user_jobs
from support.sites import WITH_ACCOUNTING
from support.slurm import SlurmCluster


@pytest.fixture(scope="module")
def second(sites):
    """Yield a cluster with the same slurmdbd as the site with accounting."""
    first = sites.of("accounting").cluster
    secret = str(first.layout.munge_socket)
    accounting = {
        "AuthInfo": f"socket={secret}",
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageHost": "127.0.0.1",
        "AccountingStoragePort": str(first.layout.accounting_port),
        "AccountingStoragePass": secret,
    }
    cluster = SlurmCluster(nodes=1, settings=accounting)
    name = cluster.layout.name
    for words in (["cluster", name], ["account", "tests"], ["user", "root", "account=tests"]):
        where = [] if words[0] == "cluster" else [f"cluster={name}"]
        first.run("sacctmgr", "-i", "add", *words, *where)
    with cluster:
        asked = ("sinfo", "-M", name, "-h")
        wait_until(lambda: first.run(*asked, check=False), "the first cluster knows the second", 60)
        yield cluster


@pytest.fixture
def federation(cluster, second):
    """Make the two clusters a federation."""
    names = f"{cluster.layout.name},{second.layout.name}"
    cluster.run("sacctmgr", "-i", "add", "federation", "both", f"clusters={names}")
    show = ("scontrol", "show", "federation")
    wait_until(lambda: "Synced:Yes" in cluster.run(*show), "they have met", 60)
    yield
    cluster.run("sacctmgr", "-i", "delete", "federation", "both")


@WITH_ACCOUNTING
@pytest.mark.parametrize("options", [(), ("--remex-array",)], ids=["single", "array"])
def test_lost_answers(user, cluster, second, shims, options):
    """A job of which sbatch's answer was lost is looked for there, and submitted once."""
    user.script(lines=f"#SBATCH --clusters={second.layout.name}\n")
    shims.submissions(faults.ACCEPTS_THEN_TIMES_OUT)
    with cluster.changed(MessageTimeout="2"):
        user.submit(*options)
    assert user_jobs(user, cluster) == []
    assert_once(user, second, 3)
    user.collect().succeeded()


@WITH_ACCOUNTING
def test_cancel_of_what_is_in_doubt(user, cluster, second, shims):
    """A held job of an attempt that was killed is found there and cancelled."""
    user.script(lines=f"#SBATCH -M {second.layout.name}\n")
    user.sweep(1.0)
    shims.submissions(faults.KILLS_PARENT, times=1)
    with cluster.changed(MessageTimeout="2"):
        user.pytest("--remex-submit").failed("run the same command again")
        user.pytest("--remex-cancel").without_traceback()
    assert [job.state for job in user_jobs(user, second)] == ["CANCELLED"]


@WITH_ACCOUNTING
@pytest.mark.usefixtures("federation")
def test_federation(user, cluster, second):
    """Jobs that another cluster of a federation starts run once, are collected and cancelled.

    Slurm runs arrays only on the cluster that they were submitted to.
    """
    cluster.down()
    user.submit()
    user.collect().succeeded()
    assert_once(user, second, 3)
    user.script("sleep 100")
    user.sweep(4.0)
    user.submit()
    wait_until(lambda: _states(user) == {"RUNNING"}, "the accounting has it", 30)
    user.pytest("--remex-cancel").without_traceback()
    wait_until(lambda: _states(user) == {"CANCELLED"}, "the accounting has its end", 30)


def _states(user):
    return {row["state"] for row in user.states().values()}
