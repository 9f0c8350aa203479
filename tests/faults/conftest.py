"""Campaigns of faults: a seed that is shown and can be set, and a table of what became of them.

REMEX_SEED repeats the random choices of an earlier run, REMEX_FAULTS says how many of each kind.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from support.kills import kill_agents
from support.tally import Tally

HERE = Path(__file__).parent
TALLY = pytest.StashKey[Tally]()
SEED = pytest.StashKey[str]()
FAULTS = int(os.environ.get("REMEX_FAULTS", "60"))


def pytest_configure(config):
    """Draw the seed, unless it is set."""
    drawn = str(random.SystemRandom().randrange(1 << 32))
    config.stash[SEED] = os.environ.get("REMEX_SEED", drawn)
    config.stash[TALLY] = Tally()


def pytest_report_header(config):
    """Say how to repeat this run."""
    return f"faults: REMEX_SEED={config.stash[SEED]} REMEX_FAULTS={FAULTS}"


def pytest_collection_modifyitems(items):
    """Mark every test of this folder as one that needs a cluster, and that may take long."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(3600))


def pytest_generate_tests(metafunc):
    """Run a test that asks for `number` once for each fault that is asked for."""
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", range(FAULTS))


def pytest_terminal_summary(terminalreporter, config):
    """Write the table of faults, and the seed once more."""
    lines = list(config.stash[TALLY].lines())
    if lines:
        terminalreporter.write_sep("-", f"faults, REMEX_SEED={config.stash[SEED]}")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def _requirements(requirements):
    """Let no test here run without what a cluster needs."""


@pytest.fixture
def tally(request):
    """Return the session's Tally."""
    return request.config.stash[TALLY]


@pytest.fixture
def chance(request):
    """Return random choices that depend only on the seed and the test's name."""
    return random.Random(f"{request.config.stash[SEED]} {request.node.nodeid}")  # noqa: S311


@pytest.fixture
def strike(cluster, user, proxy):
    """Return a function that kills the client, kills the agent or cuts the link."""
    hits = {"client": user.kill, "agent": lambda: kill_agents(cluster), "link": proxy.cut}
    return lambda victim: hits[victim]()
