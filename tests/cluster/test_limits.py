"""Limits of jobs submitted at a time: a launch waits for room; `slow_launches.py` has the rest."""

from __future__ import annotations

from support.invariants import assert_once
from support.sites import WITH_ACCOUNTING


@WITH_ACCOUNTING
def test_backs_off(user, cluster, shims):
    """Under a submit limit a launch waits for earlier jobs to end, and goes on."""
    shims.put()
    for _ in range(2):
        cluster.run("sbatch", "--wrap=sleep 4", "--output=/dev/null")
    with cluster.submit_limit(3):
        user.submit()
    assert len(shims.calls()) > 3
    assert_once(user, cluster, 3)
