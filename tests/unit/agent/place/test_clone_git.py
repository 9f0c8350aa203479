"""Git in the clone: what is in its way is named, with a fix that works."""

import shlex
import subprocess

import pytest
from support.agents import AgentError

from pytest_remex.common.protocol import Tidied, Tidy


def test_a_lock_of_a_killed_git(agent, repository, tmp_path):
    """A stale lock that keeps refs from being removed is named with the command that removes it."""
    run = repository.commit({"run.sbatch": b"#!/bin/sh\n"})
    repository.git("update-ref", "refs/remex-placing/L/one", run["sha"])
    lock = repository.path / ".git" / "packed-refs.lock"
    lock.touch()
    tidy = Tidy(str(repository.path), str(tmp_path), "L", "T")
    with pytest.raises(AgentError, match="or was killed there and left it behind") as refused:
        agent.ask(tidy)
    words = str(refused.value).partition("on the cluster: ")[2].partition(", and")[0]
    subprocess.run(shlex.split(words), check=True)
    assert not lock.exists()
    assert agent.ask(tidy) == [Tidied()]
    assert repository.git("for-each-ref", "refs/remex-placing") == ""
