"""The agent is a guest on a login node: it yields, it needs little, and it goes with its client."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.agents import Agent, has_ended
from support.daemons import wait_until

from pytest_remex.common.framing import KEEP_ALIVE, encode_request
from pytest_remex.common.parts import RunJob
from pytest_remex.common.protocol import SLURM, ListOutputs, Query


@pytest.fixture
def guest(tmp_path):
    """Yield a function that starts an agent whose squeue is a shell script, with its manners."""
    agents = []

    def start(squeue="exit 1", **manners):
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "squeue").write_text(f"#!/bin/sh\n{squeue}\n")
        (folder / "squeue").chmod(0o755)
        path = f"{folder}:{os.environ['PATH']}"
        agents.append(Agent(manners=manners, PATH=path))
        return agents[-1]

    yield start
    for agent in agents:
        if not agent.process.stdout.closed:
            agent.kill()


def query(runs):
    """Return the request that asks for one job."""
    return Query(str(runs), SLURM, [RunJob("r", "1")])


def status(process, name):
    """Return a line of /proc/PID/status, as a number."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name)))


def test_it_yields_to_others(guest, tmp_path):
    """The agent and its children are niced if the client says that others work there."""
    output = tmp_path / "nice"
    agent = guest(f"nice > {output}; exit 1", nice=10)
    agent.ask(query(tmp_path))
    nice = min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)  # which is the most there is
    assert os.getpriority(os.PRIO_PROCESS, agent.process.pid) == nice
    assert output.read_text() == f"{nice}\n"


def test_it_ends_with_its_client_though_slurm_hangs(guest, tmp_path):
    """A command that never answers is ended, and the agent too."""
    pid = tmp_path / "pid"
    agent = guest(f"echo $$ > {pid}; exec sleep 1000", grace=0.5)
    agent.write(encode_request(1, query(tmp_path)))
    wait_until(lambda: pid.exists() and pid.read_text())
    agent.process.stdin.close()
    assert agent.process.wait(timeout=20) == 0
    wait_until(lambda: has_ended(int(pid.read_text())))


def test_it_ends_where_its_client_is_silent(guest, tmp_path):
    """A link that is dead without saying so leaves nothing behind; a sign of life is enough."""
    agent = guest(silence=3, grace=0)
    agent.ask(ListOutputs(str(tmp_path), []))
    for _ in range(4):
        time.sleep(1)
        agent.write(KEEP_ALIVE)
    assert agent.ask(ListOutputs(str(tmp_path), [])) == []
    assert agent.process.wait(timeout=20) == 0


def test_a_program_that_prints_for_ever_takes_no_memory(guest, tmp_path):
    """The output of squeue is bounded; if there is more, it does not count."""
    agent = guest("exec yes 0123456789012345678901234567890123456789")
    (event,) = agent.ask(query(tmp_path))
    assert "squeue printed more than 64 MB" in event.job.reason
    assert status(agent.process, "VmHWM") < 400_000
    assert subprocess.run(["pgrep", "-P", str(agent.process.pid)], check=False).returncode == 1


def test_what_a_program_leaves_behind_is_not_waited_for(guest, tmp_path):
    """A program in the background that keeps squeue's outputs open does not delay its answer."""
    row = "1\\0371\\037RUNNING\\037None\\0371:00\\0375:00\\0371\\0371G\\037c\\037"
    agent = guest(f"sleep 30 &\nprintf '\\036{row}{tmp_path}/r\\037\\n'")
    start = time.monotonic()
    (event,) = agent.ask(query(tmp_path))
    assert str(event.job.state) == "RUNNING"
    assert time.monotonic() - start < 20


def test_a_long_listing_takes_little_memory(guest, tmp_path):
    """Two thousand runs among twenty thousand jobs are reported within 100 MB."""
    row = "\\036%d\\037%d\\037RUNNING\\037None\\0371:00\\0375:00\\0371\\0371G\\037c"
    line = f"{row}\\037{tmp_path}/r%d\\037\\n"
    agent = guest(f"exec awk 'BEGIN {{ for (i = 1; i <= 20000; i++) printf \"{line}\", i, i, i }}'")
    asked = [RunJob(f"r{number}", str(number)) for number in range(1, 2001)]
    events = agent.ask(Query(str(tmp_path), SLURM, asked))
    assert {str(event.job.state) for event in events} == {"RUNNING"}
    assert status(agent.process, "VmHWM") < 100_000


NO_ROOM = """
import resource, sys
from pytest_remex.agent import process
from pytest_remex.agent.slurm.client import SlurmClient
from pytest_remex.agent.slurm import sbatch
print(process.run(["no-such-program"], timeout=9).code)
resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
ran = process.run(["true"], timeout=9)
print(ran.code, ran.message())
try:
    SlurmClient().accounts(["1"], 0.0)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_login_node_without_room_for_a_process():
    """A program that could not be started is not taken for one that is not installed."""
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM], check=True, capture_output=True, text=True, timeout=60
    )
    missing, not_started, accounts = done.stdout.splitlines()
    assert missing == "127"
    why = "was not started: Too many open files (`ulimit -n` is 4 open files)"
    assert not_started == f"126 true {why}"
    assert accounts == f"AgentError sacct failed: sacct {why}"
