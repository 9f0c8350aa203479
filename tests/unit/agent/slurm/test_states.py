"""Slurm's words for states."""

import pytest

from pytest_remex.agent.slurm import states


@pytest.mark.parametrize(
    ("word", "reason", "state"),
    [("PENDING", "JobHeldUser", "HELD"), ("PENDING", "Priority", "PENDING"),
     ("CANCELLED by 0", "", "CANCELLED"), ("CANCELLED+", "", "CANCELLED"),
     ("CONFIGURING", "", "PENDING"), ("SPECIAL_EXIT", "", "HELD"), ("BRAND_NEW", "", "UNKNOWN"),
     ("", "", "UNKNOWN")],
)  # fmt: skip
def test_states(word, reason, state):
    """Slurm's words become ours; one that nobody has seen yet is UNKNOWN."""
    assert states.state_of(word, reason) == state
