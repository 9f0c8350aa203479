"""An agent as the client has it, and a repository with experiments in it."""

import pytest
from support.agents import Agent, Repository

from pytest_remex.agent import folder


@pytest.fixture
def agent(tmp_path):
    """Return an agent process, hung up on at the end; its local jobs have slots of their own."""
    made = Agent(TMPDIR=str(tmp_path))
    yield made
    made.close()


@pytest.fixture
def agent_here(tmp_path):
    """Return an agent as it runs on the user's machine, from the package's own folder."""
    made = Agent(modules=folder(), TMPDIR=str(tmp_path))
    yield made
    made.close()


@pytest.fixture
def start_agent(tmp_path):
    """Start agents with variables of their own; all are ended."""
    made = []

    def start(**variables):
        made.append(Agent(**{"TMPDIR": str(tmp_path), **variables}))
        return made[-1]

    yield start
    for one in made:
        one.kill()


@pytest.fixture
def repository(tmp_path):
    """Return an empty git repository."""
    return Repository(tmp_path / "repo")
