"""Two users on one clone and one runs folder: what is another's is told as theirs, never lost."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from support.agent_launch import Launch as OwnLaunch
from support.agent_launch import held
from support.agents import Agent, AgentError, Repository
from support.sites import WITH_ACCOUNTING

from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import RunJob
from pytest_remex.common.protocol import LOCAL, SLURM, LookAtHost, Query

NOBODY = 65534


@pytest.fixture
def shared():
    """Yield a folder that every user can enter: pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="remex-shared-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def nobody(shared):
    """Yield a function that starts an agent of another user."""
    agents = []
    python = shared / "python"
    interpreter = Path(sys.base_prefix, "bin", "python3").resolve()
    usable = os.access(interpreter, os.X_OK) and not str(interpreter).startswith("/root")
    program = interpreter if usable else Path("/usr/bin/python3")
    python.write_text(
        f'#!/bin/sh\nexec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {program} "$@"\n'
    )
    python.chmod(0o755)
    (shared / "home").mkdir()
    os.chown(shared / "home", NOBODY, NOBODY)

    def start(**variables):
        agents.append(Agent(python=str(python), HOME=str(shared / "home"), **variables))
        return agents[-1]

    yield start
    for agent in agents:
        agent.kill()


def test_a_clone_of_another_user(shared, nobody):
    """Git does not use it unasked: the error says so, with the command that lets it."""
    repository = Repository(shared / "clone")
    agent = nobody()
    with pytest.raises(AgentError, match="belongs to another user") as refused:
        agent.ask(LookAtHost(str(repository.path), str(shared / "home"), LOCAL))
    trust = str(refused.value).rpartition("cluster: git config --global ")[2].split()
    config = shared / "home" / ".gitconfig"
    config.write_text(f"[safe]\n\tdirectory = {trust[-1]}\n")
    assert agent.ask(LookAtHost(str(repository.path), str(shared / "home"), LOCAL))


@WITH_ACCOUNTING
@pytest.mark.parametrize("hidden", [False, True])
def test_a_job_of_another_user(site, shared, nobody, hidden):
    """Its state is told where Slurm shows it; where it does not, it is not lost nor forgotten."""
    launch = OwnLaunch(site, shared / "runs")
    site.cluster.down()
    job = held(launch.submit(launch.add("r")))
    agent = nobody(**site.cluster.variables)
    request = Query(str(launch.runs), SLURM, [RunJob("r", job, released=True)], certain=True)
    with site.cluster.changed(**({"PrivateData": "jobs"} if hidden else {})):
        (told,) = agent.ask(request)
    launch.close()
    assert (told.job.state, told.job.is_forgotten) == (
        (JobState.UNKNOWN, False) if hidden else (JobState.HELD, False)
    )
    if hidden:
        assert "it belongs to root" in told.job.reason
    assert launch.jobs("r")[0].held
