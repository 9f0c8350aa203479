"""Outputs through another host, such as a data node: one login to each, and only if needed."""

import pytest
from asking import files, look, write
from support.proxy import Proxy
from support.sshd import SshServer

from pytest_remex import Remote
from pytest_remex.errors import ConnectionLostError, RemoteError
from pytest_remex.transport.connection import connect


@pytest.fixture(scope="module")
def data():
    """Yield the sshd of a data node."""
    with SshServer() as server:
        yield server


@pytest.fixture
def link(data):
    """Yield the proxy by which the data node is reached."""
    with Proxy(data.port) as proxy:
        yield proxy


@pytest.fixture
def connection(home, data, link, runs, transport):
    """Yield a connection to `cluster` that fetches through the host `data`."""
    known = home / ".ssh" / "known_data"
    known.write_text(data.known_host(link.port) + "\n")
    with (home / ".ssh" / "config").open("a") as config:
        config.write(
            f"Host data\n  HostName 127.0.0.1\n  Port {link.port}\n  User {data.user}\n"
            f"  IdentityFile {data.key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n"
        )
    remote = Remote("cluster", runs=str(runs), transport=transport, transfer_host="data")
    with connect(remote) as connection:
        yield connection


@pytest.mark.transports("fabric", "openssh")
def test_one_login_to_each(connection, server, data, runs, here):
    """The agent stays on the login node; files come through the other, after one login there."""
    before, elsewhere = server.counts(), data.counts()
    look(connection)
    assert connection.fetch(str(runs), [], here) == []
    assert (data.counts() - elsewhere).connections == 0
    sessions = (server.counts() - before).sessions
    for name in ("a", "b/c"):
        write(runs, name)
        assert connection.fetch(str(runs), [name], here) == []
    look(connection)
    assert files(here) == ["a", "b/c"]
    assert (data.counts() - elsewhere).authentications == 1
    assert (server.counts() - before).sessions == sessions


def test_a_host_without_the_runs_folder(connection, runs, here):
    """A transfer host that does not see the runs folder, or not these runs, is named."""
    with pytest.raises(RemoteError, match=r"^data: the runs folder .*/none cannot.*transfer_host"):
        connection.fetch(f"{runs}/none", ["a"], here)
    with pytest.raises(RemoteError, match=r"^data has none of the 2 files.*as cluster$"):
        connection.fetch(str(runs), ["a", "b"], here)
    write(runs, "a")
    assert connection.fetch(str(runs), ["a", "b"], here) == ["b"]


def test_a_link_that_breaks(connection, link, runs, here):
    """After its link broke, the next transfer logs in again."""
    write(runs, "a")
    assert connection.fetch(str(runs), ["a"], here) == []
    link.cut()
    write(runs, "b")
    with pytest.raises(ConnectionLostError):
        connection.fetch(str(runs), ["b"], here)
    assert connection.fetch(str(runs), ["b"], here) == []
    assert files(here) == ["a", "b"]


def test_a_host_that_refuses(connection, data, runs, here):
    """A transfer host that cannot be reached is named."""
    write(runs, "a")
    data.daemon.stop()
    try:
        with pytest.raises(RemoteError, match="data"):
            connection.fetch(str(runs), ["a"], here)
    finally:
        data.daemon.start()
