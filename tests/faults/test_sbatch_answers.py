"""Wrong answers of sbatch at each call of a launch; a call that hangs takes three minutes."""

from __future__ import annotations

import pytest
from support import shims as faults
from support.invariants import Snapshot, assert_clean, assert_once

EXPERIMENTS = 3
REFUSAL = "sbatch: error: --mem and --mem-per-cpu are mutually exclusive"
FAULTS = {
    "accepts, times out": faults.ACCEPTS_THEN_TIMES_OUT,
    "times out": faults.TIMES_OUT,
    "accepts late": faults.accepts_late(1),
    "kills the agent": faults.KILLS_PARENT,
    "answers, kills the agent": faults.ANSWERS_THEN_KILLS_PARENT,
    "answers, fails": faults.ANSWERS_THEN_FAILS,
    "chatters": faults.CHATTERS,
    "misleads": faults.MISLEADS,
    "says nothing, succeeds": '"$REAL" "$@" >/dev/null; exit 0',
    "says nothing, fails": '"$REAL" "$@" >/dev/null 2>&1; exit 1',
    "refuses, is killed": f'"$REAL" "$@" >/dev/null; echo "{REFUSAL}"; kill -9 $$',
    "answers on stderr": '"$REAL" "$@" >&2; exit 0',
    "answers with two ids": 'id=$("$REAL" "$@"); echo "$id"; echo $((id + 1)); exit 0',
    "answers with the next id": 'id=$("$REAL" "$@"); echo $((id + 1)); exit 0',
    "answers with the id before": 'id=$("$REAL" "$@"); echo $((id - 1)); exit 0',
    "answers with a cut id": 'id=$("$REAL" "$@"); printf "%s" "${id%?}"; exit 0',
    "answers with more digits": 'id=$("$REAL" "$@"); echo "${id}00"; exit 0',
    "answers twice": 'id=$("$REAL" "$@"); echo "$id"; echo "$id"; exit 0',
    "answers in a sentence": 'id=$("$REAL" "$@"); echo "Submitted batch job $id on east"; exit 0',
    "answers with a carriage return": 'id=$("$REAL" "$@"); printf "%s\\r\\n" "$id"; exit 0',
    "warns": 'echo "sbatch: warning: 7 of your 12 jobs wait" >&2; "$REAL" "$@"; exit 0',
    "writes 3 MB": '"$REAL" "$@"; yes 12 | head -c 3000000; exit 0',
    "submits twice": '"$REAL" "$@" >/dev/null; "$REAL" "$@"; exit 0',
    "submits to the end of the world": '"$REAL" "$@" --begin=now+10days; exit 0',
    "loses --hold": 'shift 2; "$REAL" --parsable "$@"; exit 0',
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
