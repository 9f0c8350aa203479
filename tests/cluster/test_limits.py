"""Limits of jobs submitted at a time: a launch waits for room, and gives up plainly."""

from __future__ import annotations

import re

from support.invariants import Snapshot, assert_clean, assert_once
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


@WITH_ACCOUNTING
def test_gives_up(user, cluster):
    """A launch over the limit submits what fits and says so; the same command sends the rest."""
    before = Snapshot.of(user.repository)
    with cluster.submit_limit(2):
        limited = user.pytest("--remex-submit", "-v").badly("1 failed, 2 passed")
        assert "submit limit" in limited
        assert "run the same command again" in limited
        cluster.wait()
        rest = user.submit()
    assert len(re.findall(r"\] SUBMITTED", rest.text)) == 1
    assert_once(user, cluster, 3)
    assert_clean(user, before)
