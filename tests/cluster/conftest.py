"""Marks the tests that need a real Slurm; their fixtures are in support.cluster_fixtures."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from support.agent_launch import Launch
from support.invariants import Snapshot

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Mark every test of this folder, so that `-m "not cluster"` leaves it out."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session", autouse=True)
def _requirements(requirements):
    """Let no test here run without what a cluster needs."""


@pytest.fixture
def socket_folder():
    """Yield a folder whose path is short: the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def before(user):
    """Return a Snapshot of the user's repository from before the test."""
    return Snapshot.of(user.repository)


@pytest.fixture
def launch(site, tmp_path):
    """Return a launch on the session's cluster."""
    made = Launch(site, tmp_path / "runs")
    yield made
    made.close()
