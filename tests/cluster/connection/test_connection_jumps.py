"""Gateways: ProxyJump and ProxyCommand, as ssh goes through them, each host checked."""

import sys

import pytest
from asking import look
from support.sshd import make_key

from pytest_remex.errors import RemoteError


def known(home):
    return home / ".ssh" / "known_hosts"


@pytest.fixture
def jump(home, server):
    """Return the known_hosts file of a gateway through which the host `inner` is reached."""
    gateways = home / ".ssh" / "gateways"
    gateways.write_text(server.known_host() + "\n")
    with (home / ".ssh" / "config").open("a") as config:
        config.write(
            f"Host gate\n  HostName 127.0.0.1\n  Port {server.port}\n  User {server.user}\n"
            f"  IdentityFile {server.key}\n  UserKnownHostsFile {gateways}\n"
            f"Host inner\n  HostName localhost\n  HostKeyAlias [127.0.0.1]:{server.port}\n"
            f"  Port {server.port}\n  User {server.user}\n  IdentityFile {server.key}\n"
            f"  UserKnownHostsFile {known(home)}\n  ProxyJump gate\n"
            f"Host twice\n  HostName 127.0.0.1\n  Port {server.port}\n  User {server.user}\n"
            f"  IdentityFile {server.key}\n  UserKnownHostsFile {known(home)}\n"
            f"  ProxyJump cluster,gate\n"
        )
    return gateways


@pytest.mark.transports("fabric", "openssh")
def test_jump(jump, server, opened):
    """A gateway costs one authentication more, and hops are taken in ssh's order."""
    before = server.counts()
    look(opened("inner"))
    assert (server.counts() - before).authentications == 2
    look(opened("twice"))
    assert (server.counts() - before).authentications == 5


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_jump_unknown(jump, server, opened):
    """A gateway's unknown key is refused as well."""
    jump.write_text("")
    with pytest.raises(RemoteError, match="is not in your known_hosts"):
        opened("inner")


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_jump_changed(jump, home, server, opened, tmp_path):
    """A gateway's changed key is refused as well."""
    make_key(tmp_path / "old")
    kind, key = (tmp_path / "old.pub").read_text().split()[:2]
    jump.write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")
    with pytest.raises(RemoteError, match="has CHANGED"):
        opened("inner")


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_jump_nowhere(jump, home, opened):
    """A host that the gateway cannot reach is distinguished from the gateway."""
    with (home / ".ssh" / "config").open("a") as config:
        config.write("Host lost\n  HostName 127.0.0.1\n  Port 1\n  ProxyJump gate\n")
    with pytest.raises(
        RemoteError, match=r"the gateway cannot reach lost \(127.0.0.1:1\) .*ProxyJump"
    ):
        opened("lost")


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_jump_in_circle(home, opened):
    """Hops that go in a circle are named."""
    (home / ".ssh" / "config").write_text("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    with pytest.raises(RemoteError, match="ProxyJump a forms a circle"):
        opened("a")


FORWARD = """
import os, socket, sys, threading
link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def up():
    while data := os.read(0, 65536):
        link.sendall(data)
threading.Thread(target=up, daemon=True).start()
while data := link.recv(65536):
    os.write(1, data)
"""


@pytest.mark.transports("fabric", "openssh")
def test_proxy_command(home, server, opened, tmp_path):
    """A ProxyCommand with quotes and tokens carries the connection, and ends with it."""
    (tmp_path / "for ward.py").write_text(FORWARD)
    with (home / ".ssh" / "config").open("a") as config:
        config.write(f"  ProxyCommand {sys.executable} '{tmp_path}/for ward.py' %p\n")
    look(opened())


@pytest.mark.fabric_only("ssh checks host keys in its own words")
def test_proxy_command_fails(home, opened):
    """A ProxyCommand that leads nowhere is named."""
    with (home / ".ssh" / "config").open("a") as config:
        config.write("  ProxyCommand false %h\n")
    with pytest.raises(RemoteError, match=r"ProxyCommand 'false 127\.0\.0\.1' does not lead"):
        opened()
