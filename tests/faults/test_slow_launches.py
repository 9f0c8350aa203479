"""Launches that wait for Slurm's own clocks."""

from __future__ import annotations

import re
import time

from support.daemons import wait_until
from support.invariants import Snapshot, assert_clean, assert_once, jobs_below
from support.sites import WITH_ACCOUNTING, WITH_AND_WITHOUT_ACCOUNTING


@WITH_AND_WITHOUT_ACCOUNTING
def test_time_limit(user, cluster):
    """A job that hits its time limit is reported as TIMEOUT, with its output."""
    user.script("sleep 600")
    user.sweep(1.0)
    user.submit()
    ((job,),) = jobs_below(cluster, user.project.runs).values()
    wait_until(lambda: next(user.project.runs.glob("*/ran"), None), "the job runs")
    cluster.run("scontrol", "update", f"jobid={job.id}", "EndTime=now+1")
    collect = user.collect().failed("TIMEOUT")
    assert "a star of mass 1.0" in collect


@WITH_ACCOUNTING
def test_gives_up(user, cluster):
    """A launch over the limit submits what fits and says so; the same command sends the rest."""
    before = Snapshot.of(user.repository)
    with cluster.submit_limit(2):
        limited = user.pytest("--remex-submit", "-v").failed("1 failed, 2 passed")
        assert "submit limit" in limited
        assert "run the same command again" in limited
        cluster.wait()
        rest = user.submit()
    assert len(re.findall(r"\] SUBMITTED", rest.text)) == 1
    assert_once(user, cluster, 3)
    assert_clean(user, before)


@WITH_ACCOUNTING
def test_a_full_controller(user, cluster):
    """Where Slurm keeps no more jobs, a launch ends after sbatch's own two minutes, and says why.

    The same command sends the rest.
    """
    cluster.down()
    known = cluster.run("squeue", "--noheader", "--states=all", "--format=%i").split()
    # no earlier job may be forgotten meanwhile, which would make room
    with cluster.changed(MaxJobCount=str(len(known) + 3), MinJobAge="86400"):
        start = time.monotonic()
        limited = user.pytest("--remex-submit", "-v", seconds=400).failed("1 failed, 2 passed")
        assert 100 < time.monotonic() - start < 200
        assert "as many jobs as Slurm keeps (MaxJobCount)" in limited
        assert "run the same command again" in limited
    cluster.up()
    user.submit()
    assert_once(user, cluster, 3)
