"""An agent as the client has it, and a repository with experiments in it."""

import pytest
from support.agents import Agent, Repository


@pytest.fixture
def agent():
    """Give an agent process, hung up on at the end."""
    made = Agent()
    yield made
    made.close()


@pytest.fixture
def start_agent():
    """Start agents with variables of their own; all are ended."""
    made = []

    def start(**variables):
        made.append(Agent(**variables))
        return made[-1]

    yield start
    for one in made:
        one.kill()


@pytest.fixture
def repository(tmp_path):
    """Give an empty git repository."""
    return Repository(tmp_path / "repo")
