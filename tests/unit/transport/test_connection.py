"""Connections to this machine: the real agent in a subprocess."""

import os
import subprocess
import sys

import pytest

from pytest_remex import Remote
from pytest_remex.common.parts import ListedRun
from pytest_remex.common.protocol import LOCAL, Host, ListOutputs, LookAtHost
from pytest_remex.common.records import ReadRecords
from pytest_remex.errors import RemoteError
from pytest_remex.transport.connection import connect
from pytest_remex.transport.connections import Connections


def test_local_agent(tmp_path):
    """Without a host, the agent on this machine is asked, once."""
    with connect(Remote(None, runs=str(tmp_path / "runs"))) as connection:
        assert connection.host().cores >= 1
        assert connection.host() is connection.host()
        (event,) = connection.ask(LookAtHost("", connection.remote.runs, LOCAL))
        assert isinstance(event, Host)
    assert connection.closed


def test_one_connection_for_each_remote(tmp_path):
    """A remote is connected to once, and again after `close`."""
    connections = Connections(pytest.fail, print)
    here, there = (Remote(None, runs=str(tmp_path / name)) for name in "ab")
    first = connections.to(here)
    assert connections.to(here) is first
    assert connections.to(there) is not first
    connections.close()
    assert first.closed
    assert connections.to(here) is not first


def test_the_agent_of_this_machine_starts_early(tmp_path):
    """The agent of this machine can be started before it is asked."""
    connections = Connections(pytest.fail, print)
    here = Remote(None, runs=str(tmp_path))
    connections.begin(here)
    (agent,) = _agents()
    assert connections.to(here).host().runs == str(tmp_path)
    assert _agents() == [agent]
    connections.close()
    assert not _agents()


def test_what_only_reads_starts_no_agent_here(tmp_path):
    """On this machine, requests that change nothing are answered without an agent."""
    runs = tmp_path / "runs"
    listed = ListOutputs(str(runs), [ListedRun("r", ["*.txt"])])
    with connect(Remote(None, runs=str(runs))) as connection:
        assert not list(connection.ask(ReadRecords(str(runs), {})))
        with pytest.raises(RemoteError, match=f"^this machine: there is no runs folder {runs}"):
            list(connection.ask(listed))
        (runs / "r" / ".remex").mkdir(parents=True)
        (runs / "r" / ".remex" / "run.json").write_text("{}")
        (runs / "r" / "out.txt").write_text("text")
        (here,) = connection.ask(listed)
        assert not _agents()
        connection.start()
        assert list(connection.ask(listed)) == [here]
        assert len(_agents()) == 1


def _agents():
    """Return the ids of this process's children that run an agent."""
    listed = ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())]
    rows = subprocess.run(listed, check=False, capture_output=True, text=True).stdout.split("\n")
    return [row.split()[0] for row in rows if " -I -u -c " in row]


def test_local_default_loads_no_ssh():
    """Without a host, Fabric and paramiko are not loaded: they take half a second."""
    program = (
        "import sys; from pytest_remex import Remote\n"
        "from pytest_remex.transport.connection import connect\n"
        "connect(Remote(None)).close(); print({'fabric', 'paramiko', 'invoke'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"
