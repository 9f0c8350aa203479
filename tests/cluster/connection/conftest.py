"""Fixtures of the connection's tests: an sshd of their own, and a client's home that knows it."""

from __future__ import annotations

import os

import pytest
from support.proxy import Proxy
from support.sshd import TRANSPORT, SshServer

from pytest_remex import Remote
from pytest_remex.transport.connection import connect


def pytest_generate_tests(metafunc):
    """Run each test over Fabric, or what REMEX_TEST_TRANSPORT names; some over both."""
    if "transport" in metafunc.fixturenames:
        named = metafunc.definition.get_closest_marker("transports")
        metafunc.parametrize("transport", named.args if named else [TRANSPORT])


def pytest_collection_modifyitems(items):
    """Skip what only Fabric does, on what is not Fabric."""
    for item in items:
        only = item.get_closest_marker("fabric_only")
        if only and TRANSPORT != "fabric":
            item.add_marker(pytest.mark.skip(reason=f"Fabric's: {only.args[0]}"))


@pytest.fixture(scope="package")
def server(_requirements):
    """Yield an SshServer without a cluster behind it."""
    with SshServer() as server:
        yield server


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, server):
    """Yield an isolated HOME whose ssh_config names the server as the host `cluster`."""
    home = tmp_path / "home"
    server.client(home)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield home
    server.shell()


@pytest.fixture
def reroute(home, server):
    """Return a function that lets the client reach `cluster` by another port, a proxy's."""
    return lambda port: server.client(home, port=port)


@pytest.fixture
def proxy(server, reroute):
    """Yield a proxy in front of the server, by which the host `cluster` is now reached."""
    with Proxy(server.port) as proxy:
        reroute(proxy.port)
        yield proxy


@pytest.fixture
def runs(tmp_path):
    """Return an empty runs folder."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def opened(runs, transport):
    """Yield a function that connects to `cluster`; its connections are closed at the end."""
    connections = []

    def opened(host="cluster", **options):
        shell = options.pop("login_shell", "bash -lc")
        chosen = options.pop("transport", transport)
        remote = Remote(host, runs=str(runs), shell=shell, transport=chosen)
        connections.append(connect(remote, **options))
        return connections[-1]

    yield opened
    for connection in connections:
        connection.close()


@pytest.fixture
def openrsync(tmp_path, monkeypatch):
    """Put the rsync of a Mac first on the PATH here."""
    program = tmp_path / "mac" / "rsync"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\necho 'openrsync: protocol version 29, rsync version 2.6.9 compatible'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.fixture(params=["rsync", "openrsync"])
def with_any_rsync(request):
    """Fetch by rsync, or without one that is of use."""
    if request.param == "openrsync":
        request.getfixturevalue("openrsync")


@pytest.fixture(params=["ssh", "local", "openrsync"])
def connection(request, opened):
    """Return a connection of each kind."""
    if request.param == "openrsync":
        request.getfixturevalue("openrsync")
    return opened(None if request.param == "local" else "cluster")


@pytest.fixture
def here(tmp_path):
    """Return the folder to fetch into, whose name has blanks and quotes."""
    return tmp_path / "my 'own' outputs"
