"""Chains, replicates and comparisons under kills: each run is made once, after its upstream."""

from __future__ import annotations

from functools import partial

from support.invariants import Snapshot, assert_clean, assert_ran_once
from support.kills import GROUPINGS, MOST, VICTIMS, Moment, disturb
from support.projects import git
from support.stages import let_jobs_continue, let_jobs_succeed, runs_of, write_chain

EXPERIMENTS = 6
STAGES = ("birth", "evolve", "death")
AGAINST = "--remex-against=v1.2"


def test_chain(user, cluster, strike, chance, tally, number):
    """A chain that is hit up to three times ends with one job for each run, each link in place."""
    victim = VICTIMS[number % len(VICTIMS)]
    grouping = list(GROUPINGS)[number // len(VICTIMS) % len(GROUPINGS)]
    options = GROUPINGS[grouping]
    write_chain(user, how="well")
    hit = partial(strike, victim)
    waits = chance.random() < 0.5  # the first stage runs until the others are submitted
    if not waits:
        let_jobs_continue(user)
    before = Snapshot.of(user.repository)
    with tally.case(f"{victim} hit while launching a chain ({grouping})") as case:
        for moment in Moment.of_launches(chance, EXPERIMENTS, MOST):
            case.injected(disturb(user, moment, hit, "--remex-submit", *options))
        user.submit(*options)
        let_jobs_continue(user)
        user.pytest("--remex-status").reported()
        cluster.wait()
        case.check(user, EXPERIMENTS)
        assert_ran_once(user, cluster, EXPERIMENTS)
        assert [runs_of(user, stage) for stage in STAGES] == [[1, 1]] * len(STAGES)
        assert user.collect().succeeded().text.count(" PASSED ") == EXPERIMENTS
        assert_clean(user, before)


def test_retry(user, cluster, strike, chance, tally, number):
    """A retry that is hit up to three times sends failed runs and those after them, once each."""
    victim = VICTIMS[number % len(VICTIMS)]
    grouping = list(GROUPINGS)[number // len(VICTIMS) % len(GROUPINGS)]
    options = ("--remex-submit", "--remex-retry", *GROUPINGS[grouping])
    write_chain(user, how=("exit", "empty")[number % 2])
    before = Snapshot.of(user.repository)
    user.submit(*GROUPINGS[grouping])
    let_jobs_continue(user)
    cluster.wait()
    let_jobs_succeed(user)
    if chance.random() < 0.5:  # else only the retry itself learns how the jobs ended
        user.pytest("--remex-status").reported()
    with tally.case(f"{victim} hit while retrying a chain ({grouping})") as case:
        for moment in Moment.of_launches(chance, EXPERIMENTS // 2, MOST):
            hit = partial(strike, victim)
            case.injected(disturb(user, moment, hit, *options))
        user.pytest(*options).succeeded()
        cluster.wait()
        user.pytest(*options).succeeded()  # what the interrupted commands could not know yet
        assert user.collect().succeeded().text.count(" PASSED ") == EXPERIMENTS
        assert runs_of(user, "birth") == [1, 1, 1]
        assert [sum(runs_of(user, stage)) for stage in STAGES[1:]] == [2, 2]
        assert_clean(user, before)


def test_replicates(user, cluster, strike, chance, tally, number):
    """What --remex-again had begun when it was hit is finished by a plain submit, once each."""
    victim = VICTIMS[number % len(VICTIMS)]
    grouping = list(GROUPINGS)[number // len(VICTIMS) % len(GROUPINGS)]
    options = GROUPINGS[grouping]
    write_chain(user, how="well")
    let_jobs_continue(user)
    before = Snapshot.of(user.repository)
    user.submit(*options)
    with tally.case(f"{victim} hit while adding replicates ({grouping})") as case:
        for moment in Moment.of_launches(chance, EXPERIMENTS, MOST):
            hit = partial(strike, victim)
            case.injected(disturb(user, moment, hit, "--remex-submit", "--remex-again", *options))
        user.submit(*options)
        known = len(user.states())
        cluster.wait()
        case.check(user, known)
        assert_ran_once(user, cluster, known)
        assert user.collect().succeeded().text.count(" PASSED ") == known
        assert_clean(user, before)


def test_against(user, cluster, strike, chance, tally, number):
    """A chain that is sent on two bases, and hit up to three times, runs once on each."""
    victim = VICTIMS[number % len(VICTIMS)]
    grouping = list(GROUPINGS)[number // len(VICTIMS) % len(GROUPINGS)]
    options = ("--remex-submit", AGAINST, *GROUPINGS[grouping])
    write_chain(user, how="well")
    let_jobs_continue(user)
    git(user.repository, "tag", "v1.2")
    is_same = chance.random() < 0.3  # no job reads README: both bases share each run
    user.project.commit({"README" if is_same else "code": "changed\n"})
    before = Snapshot.of(user.repository)
    with tally.case(f"{victim} hit while both sides of a comparison are sent ({grouping})") as case:
        for _ in range(chance.randint(1, MOST)):
            moment = Moment.of_a_launch(chance, 2 * EXPERIMENTS)
            hit = partial(strike, victim)
            case.injected(disturb(user, moment, hit, *options))
        user.pytest(*options).succeeded()
        cluster.wait()
        known = EXPERIMENTS if is_same else 2 * EXPERIMENTS
        case.check(user, known)
        assert_ran_once(user, cluster, known)
        assert user.collect(AGAINST).succeeded().text.count(" PASSED ") == 2 * EXPERIMENTS
        for other in ((), ("--remex-base=v1.2",)):
            assert user.collect(*other).succeeded().text.count(" PASSED ") == EXPERIMENTS
        assert_clean(user, before)
