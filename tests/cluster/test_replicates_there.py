"""Replicates on a real Slurm: stated and added, in arrays and packs, through a crash."""

from __future__ import annotations

import re

import pytest
from support.invariants import Snapshot, assert_clean, assert_ran_once
from support.kills import kill_at
from support.sites import WITH_ACCOUNTING

NAMES = re.compile(r"tams\[(\S+)\] SUBMITTED")
GROUPINGS = {"array": ("--remex-array",), "pack": ("--remex-pack=2",)}


@pytest.mark.parametrize("grouping", GROUPINGS)
@WITH_ACCOUNTING
def test_replicates(user, cluster, grouping):
    """Whatever is killed when, each has one job; what --remex-again added stays with its number."""
    options = GROUPINGS[grouping]
    user.sweep(1.0, 2.0)
    user.edit("fetch=", "replicates=2, fetch=")
    before = Snapshot.of(user.repository)
    for state in ("SUBMITTING", "HELD"):
        kill_at(user, state, 1, *options)
    user.submit(*options)
    assert_ran_once(user, cluster, 4)
    for state in ("PLACED", "HELD"):
        kill_at(user, state, 1, "--remex-again", *options)
    user.submit(*options)
    assert_ran_once(user, cluster, 6)
    again = user.submit("--remex-again", "-v", *options)
    assert set(NAMES.findall(again.text)) == {f"initial_mass={m}-r4" for m in (1.0, 2.0)}
    assert_ran_once(user, cluster, 8)
    assert user.collect("-v").succeeded().text.count(" PASSED ") == 8
    assert_clean(user, before)
