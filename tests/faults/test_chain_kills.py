"""A chain of stages under kills: each run is made once, after its upstream."""

from __future__ import annotations

import pytest
from support.invariants import Snapshot, assert_clean, assert_ran_once
from support.kills import Moment, disturb, kill_agents
from support.proxy import Proxy
from support.stages import let_go, runs_of, write_chain

GROUPINGS = {"plain": (), "array": ("--remex-array",), "pack": ("--remex-pack=2",)}
VICTIMS = ("client", "agent", "link")
EXPERIMENTS = 6
STAGES = ("birth", "evolve", "death")
MOST = 3
"""Faults in a row, before the command is left alone."""


@pytest.fixture
def proxy(sshd, home):
    """Yield a proxy by which the user reaches the cluster."""
    with Proxy(sshd.port) as proxy:
        sshd.client(home, proxy.port)
        yield proxy


def test_chain(user, cluster, proxy, chance, tally, number):
    """A chain that is hit up to three times ends with one job for each run, each link in place."""
    victim = VICTIMS[number % len(VICTIMS)]
    grouping = list(GROUPINGS)[number // len(VICTIMS) % len(GROUPINGS)]
    options = GROUPINGS[grouping]
    write_chain(user, how="well")
    hits = {"client": user.kill, "agent": lambda: kill_agents(cluster), "link": proxy.cut}
    waits = chance.random() < 0.5  # the first stage runs until the others are submitted
    if not waits:
        let_go(user)
    before = Snapshot.of(user.repository)
    with tally.case(f"{victim} hit while launching a chain ({grouping})") as case:
        for _ in range(chance.randint(1, MOST)):
            moment = Moment.of_a_launch(chance, EXPERIMENTS)
            case.injected(disturb(user, moment, hits[victim], "--remex-submit", *options))
        user.submit(*options)
        let_go(user)
        user.pytest("--remex-status").told()
        cluster.wait()
        case.check(user, EXPERIMENTS)
        assert_ran_once(user, cluster, EXPERIMENTS)
        assert [runs_of(user, stage) for stage in STAGES] == [[1, 1]] * len(STAGES)
        assert user.collect().well().text.count(" PASSED ") == EXPERIMENTS
        assert_clean(user, before)
