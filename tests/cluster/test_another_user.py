"""Two users on one clone and runs folder: another user's runs are named, never lost."""

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
from support.slurm import version

from pytest_remex.common.jobs import JobState
from pytest_remex.common.parts import RunJob
from pytest_remex.common.protocol import (
    LOCAL,
    SLURM,
    Cancel,
    LookAtHost,
    Query,
    Release,
    Released,
)

NOBODY = 65534
LIMITS_RATES = (23, 2)
"""From this Slurm on a controller can limit each user's requests."""


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
    """Its state is reported if Slurm shows it; if not, it is neither lost nor forgotten."""
    launch = OwnLaunch(site, shared / "runs")
    site.cluster.down()
    job = held(launch.submit(launch.add("r")))
    agent = nobody(**site.cluster.variables)
    request = Query(str(launch.runs), SLURM, [RunJob("r", job, released=True)], certain=True)
    with site.cluster.changed(**({"PrivateData": "jobs"} if hidden else {})):
        (event,) = agent.ask(request)
    launch.close()
    assert (event.job.state, event.job.is_forgotten) == (
        (JobState.UNKNOWN, False) if hidden else (JobState.HELD, False)
    )
    if hidden:
        assert "it belongs to root" in event.job.reason
    assert launch.jobs("r")[0].held


@pytest.mark.skipif(version() < LIMITS_RATES, reason="this Slurm cannot limit requests")
def test_requests_above_the_controllers_rate(site, shared, nobody):
    """If the controller limits a user's requests (not root's), ours succeed in the end."""
    launch = OwnLaunch(site, shared / "runs")
    runs = [launch.add(f"r{number}") for number in range(15)]
    for path in (launch.runs, *launch.runs.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    limits = "rl_enable,rl_bucket_size=3,rl_refill_rate=2,rl_log_freq=0"
    agent = nobody(**site.cluster.variables)
    with site.cluster.changed(SlurmctldParameters=limits):
        site.cluster.down()
        events = agent.ask(launch.request(*runs, patience=180.0))
        jobs = {name: job for event in events for name, job in event.jobs.items()}
        asked = [RunJob(name, job) for name, job in jobs.items()]
        released = agent.ask(Release(str(launch.runs), SLURM, asked))
        events = agent.ask(Query(str(launch.runs), SLURM, asked))
        agent.ask(Cancel(str(launch.runs), SLURM, asked))
    assert sorted(jobs) == sorted(run.key for run in runs)
    assert released == [Released(list(jobs.values()))]
    assert {each.job.state for each in events} == {JobState.PENDING}
    assert "limit" in (site.cluster.folder / "slurmctld.log").read_text()
