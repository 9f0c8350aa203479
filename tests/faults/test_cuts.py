"""The link cut after so many bytes, at places spread over a whole launch and close to its end."""

from __future__ import annotations

import pytest
from support.invariants import Snapshot, assert_clean, assert_once
from support.proxy import Proxy

EXPERIMENTS = 3
WAYS = ("up", "down")


@pytest.fixture(scope="session")
def totals():
    """Return the bytes of an undisturbed launch by direction, once one was measured."""
    return {}


def test_cut(user, cluster, sshd, chance, tally, number, totals):
    """Wherever the link is cut, the same command finishes the launch.

    The first bytes to the cluster are the agent itself, the last ones the launch.
    """
    way = WAYS[number % 2]
    with Proxy(sshd.port) as proxy:
        sshd.client(user.home, proxy.port)
        if way not in totals:
            user.submit()
            totals.update(proxy.forwarded)
            cluster.wait()
            user.sweep(4.0, 5.0, 6.0)
        earlier = len(user.project.run_directories())
        before = Snapshot.of(user.repository)
        share = chance.uniform(0, 1) if number % 4 < 2 else chance.uniform(0.9, 1)
        with tally.case(f"link cut after so many bytes {way}") as case:
            proxy.cut_after(int(totals[way] * share), way)
            user.pytest("--remex-submit").without_traceback()
            case.injected(proxy.cuts)
            sshd.client(user.home)
            user.submit()
            cluster.wait()
            case.check(user, EXPERIMENTS + earlier)
            assert_once(user, cluster, EXPERIMENTS + earlier)
            assert_clean(user, before)
