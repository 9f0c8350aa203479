"""Two clients of one runs folder: races for the same grid, and kills of either in turns."""

from __future__ import annotations

import re
import shutil

import pytest
from support.invariants import Snapshot, assert_clean, assert_ran_once
from support.kills import Moment, disturb
from support.launches import finished

RACES = 20
EXPERIMENTS = 3
MOST = 4
"""Kills in a row, before the commands are left alone."""
GROUPINGS = {"plain": (), "array": ("--remex-array",)}
DONE = re.compile(r"\] (?:ALREADY )?SUBMITTED job \d+")


@pytest.mark.parametrize("race", range(RACES))
def test_same_moment(user, other, cluster, tally, race):
    """Two clients that submit the same grid at once get one run directory and job for each."""
    names = [("plain", "plain"), ("plain", "array"), ("array", "plain"), ("array", "array")][
        race % 4
    ]
    befores = [Snapshot.of(each.repository) for each in (user, other)]
    with tally.case(f"race of {' and '.join(names)}") as case:
        case.injected()
        started = [
            each.start("--remex-submit", "-v", *GROUPINGS[name])
            for each, name in zip((user, other), names, strict=True)
        ]
        for process in started:
            assert len(DONE.findall(finished(process).succeeded().text)) == EXPERIMENTS
        cluster.wait()
        case.check(user, EXPERIMENTS)
        assert_ran_once(user, cluster, EXPERIMENTS)
        _assert_agreed(user, other, befores)


def test_killed_in_turns(user, other, cluster, chance, tally, number):
    """After kills of either client, and lost output folders, each experiment has one job."""
    clients = (user, other)
    if chance.random() < 0.5:
        for each in clients:
            each.batches(1)
    befores = [Snapshot.of(each.repository) for each in clients]
    with tally.case("kills of two clients in turns") as case:
        for moment in Moment.of_launches(chance, EXPERIMENTS, MOST):
            someone, grouping = chance.choice(clients), chance.choice([*GROUPINGS])
            arguments = ("--remex-submit", *GROUPINGS[grouping])
            case.injected(disturb(someone, moment, someone.kill, *arguments))
            if chance.random() < 0.25:
                shutil.rmtree(someone.output, ignore_errors=True)
        chance.choice(clients).submit(*GROUPINGS[chance.choice([*GROUPINGS])])
        cluster.wait()
        case.check(user, EXPERIMENTS)
        assert_ran_once(user, cluster, EXPERIMENTS)
        for each in clients:
            assert len(DONE.findall(each.submit().text)) == EXPERIMENTS
        assert_ran_once(user, cluster, EXPERIMENTS)
        _assert_agreed(user, other, befores)


def _assert_agreed(user, other, befores):
    """Assert that both clients tell the same states, and left nothing behind."""
    assert user.states() == other.states()
    for each, before in zip((user, other), befores, strict=True):
        assert_clean(each, before)
