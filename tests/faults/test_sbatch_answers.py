"""Wrong answers of sbatch at each call of a launch; a call that hangs takes three minutes."""

from __future__ import annotations

import pytest
from support import shims as faults
from support.invariants import Snapshot, assert_clean, assert_once

EXPERIMENTS = 3
FAULTS = {
    "accepts, times out": faults.ACCEPTS_THEN_TIMES_OUT,
    "times out": faults.TIMES_OUT,
    "accepts late": faults.accepts_late(1),
    "kills the agent": faults.KILLS_PARENT,
    "answers, kills the agent": faults.ANSWERS_THEN_KILLS_PARENT,
    "answers, fails": faults.ANSWERS_THEN_FAILS,
    "chatters": faults.CHATTERS,
    "misleads": faults.MISLEADS,
    "hangs": faults.HANGS,
    "accepts, hangs": faults.ACCEPTS_THEN_HANGS,
}
CASES = [
    (name, call)
    for name in FAULTS
    for call in ((2,) if "hangs" in name else range(1, EXPERIMENTS + 1))
]


@pytest.mark.parametrize(("name", "call"), CASES)
def test_sbatch(user, cluster, shims, tally, name, call):
    """Whatever one call of sbatch does, the same command ends with one job for each experiment."""
    before = Snapshot.of(user.repository)
    with cluster.changed(MessageTimeout="2"), tally.case(f"sbatch {name}") as case:
        shims.submissions(f"if [ $NUMBER = {call} ]; then\n{FAULTS[name]}\nfi")
        user.pytest("--remex-submit", seconds=400).without_traceback()
        case.injected(len(shims.calls()) >= call)
        shims.remove()
        user.submit()
        cluster.wait()
        case.check(user, EXPERIMENTS)
        assert_once(user, cluster, EXPERIMENTS)
        assert_clean(user, before)
