"""Fixtures of the connection's tests: an sshd of their own, and a client's home that knows it."""

from __future__ import annotations

import pytest
from support.proxy import Proxy
from support.sshd import SshServer

from pytest_remex import Remote
from pytest_remex.transport import connect


@pytest.fixture(scope="package")
def server(_requirements):
    """Give an SshServer without a cluster behind it."""
    with SshServer() as server:
        yield server


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, server):
    """Give an isolated HOME whose ssh_config names the server as the host `cluster`."""
    home = tmp_path / "home"
    server.client(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield home
    server.shell()


@pytest.fixture
def reroute(home, server):
    """Give a function that has the client reach `cluster` by another port, a proxy's."""
    return lambda port: server.client(home, port=port)


@pytest.fixture
def proxy(server, reroute):
    """Give a proxy before the server, by which the host `cluster` is now reached."""
    with Proxy(server.port) as proxy:
        reroute(proxy.port)
        yield proxy


@pytest.fixture
def runs(tmp_path):
    """Give an empty runs folder."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def opened(runs):
    """Give a function that connects to `cluster`; what it opened is closed at the end."""
    connections = []

    def opened(host="cluster", **options):
        remote = Remote(host, runs=str(runs), shell=options.pop("login", "bash -lc"))
        connections.append(connect(remote, **options))
        return connections[-1]

    yield opened
    for connection in connections:
        connection.close()


@pytest.fixture(params=["ssh", "local"])
def connection(request, opened):
    """Give a connection of each kind."""
    return opened(None if request.param == "local" else "cluster")


@pytest.fixture
def here(tmp_path):
    """Give the folder for what is fetched, in a place with blanks in its name."""
    return tmp_path / "my 'own' outputs"
