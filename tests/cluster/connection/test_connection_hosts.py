"""Reaching hosts: known ones only, by the ways of ssh_config, and clear words where it fails."""

import re
import shlex
import socket
import subprocess
import sys
import threading

import pytest
from support.sshd import make_key

from pytest_remex.errors import RemoteError


def known(home):
    return home / ".ssh" / "known_hosts"


def fingerprint(key):
    told = subprocess.run(["ssh-keygen", "-lf", key], check=True, capture_output=True, text=True)
    return told.stdout.split()[1]


def test_unknown_host_key(home, server, opened):
    """An unknown key is refused before any login, with its fingerprint and how to add it."""
    known(home).write_text("")
    before = server.counts()
    with pytest.raises(RemoteError) as refused:
        opened()
    text = str(refused.value)
    assert "is unknown" in text
    assert fingerprint(server.folder / "host_key.pub") in text
    assert f"ssh-keyscan -p {server.port} 127.0.0.1 >> ~/.ssh/known_hosts" in text
    assert known(home).read_text() == ""
    assert (server.counts() - before).authentications == 0


def test_changed_host_key(home, server, opened, hello):
    """A changed key is refused in other words, and the command that they name forgets the old."""
    old = known(home).read_text()
    server.change_host_key()
    with pytest.raises(RemoteError) as refused:
        opened()
    text = str(refused.value)
    assert f"has CHANGED: {known(home)}:1 holds" in text
    assert "is unknown" not in text
    assert fingerprint(server.folder / "host_key.pub") in text
    assert known(home).read_text() == old
    command = shlex.split(text[text.index("ssh-keygen -R") :])
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(RemoteError, match="is unknown"):
        opened()
    known(home).write_text(server.known_host() + "\n")
    hello(opened())


@pytest.mark.parametrize(
    "line",
    [
        "[127.0.0.*]:* {key}",
        "127.0.0.1 {key}",
        "!other,[127.0.0.1]:{port},other {key} a comment",
        "# nothing\n\n@cert-authority *.example.org {key}\nnot a line\n[127.0.0.1]:{port} {key}",
        "[127.0.0.1]:{port} ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7\n[127.0.0.1]:{port} {key}",
    ],
)
def test_known_by(home, server, opened, hello, line):
    """Patterns, a name without the port, lists of names and foreign lines are read as by ssh."""
    key = " ".join(server.known_host().split()[1:])
    known(home).write_text(line.format(key=key, port=server.port) + "\n")
    hello(opened())


def test_known_by_hash(home, opened, hello):
    """Hashed names are found."""
    subprocess.run(["ssh-keygen", "-H", "-f", known(home)], check=True, capture_output=True)
    assert "127.0.0.1" not in known(home).read_text()
    hello(opened())


def test_authority_alone(home, server, opened):
    """A host that only a certificate authority vouches for is refused, and the message says so."""
    key = " ".join(server.known_host().split()[1:])
    known(home).write_text(f"@cert-authority [127.0.0.1]:{server.port} {key}\n")
    with pytest.raises(RemoteError, match=r"is unknown .*they hold only: CA"):
        opened()


def test_revoked(home, server, opened):
    """A revoked key is refused, whatever else names it."""
    line = server.known_host()
    known(home).write_text(f"{line}\n@revoked {line}\n")
    with pytest.raises(RemoteError, match="is marked @revoked"):
        opened()


def test_key_of_known_kind(home, server, opened, hello, tmp_path):
    """Where the server has several keys, it is asked for the kind that is known."""
    second = tmp_path / "ecdsa"
    words = ["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(second)]
    subprocess.run(words, check=True, capture_output=True)
    kind, key = second.with_suffix(".pub").read_text().split()[:2]
    known(home).write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")
    with server.with_options(HostKey=f"{server.folder}/host_key\nHostKey {second}"):
        hello(opened())


def test_included_config(home, opened, hello):
    """Files that ssh_config includes count."""
    config = home / ".ssh" / "config"
    config.rename(home / ".ssh" / "cluster.conf")
    config.write_text(f"Include {home}/.ssh/*.conf\n")
    hello(opened())


def test_host_with_port(home, server, opened, hello):
    """`user@machine:port` needs no entry in ssh_config."""
    key = home / ".ssh" / "id_ed25519"
    key.write_bytes(server.key.read_bytes())
    key.chmod(0o600)
    (home / ".ssh" / "config").unlink()
    hello(opened(f"{server.user}@127.0.0.1:{server.port}"))


@pytest.fixture
def jump(home, server):
    """Give the known_hosts file of a gateway, through which the host `inner` is reached."""
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


def test_jump(jump, server, opened, hello):
    """A gateway costs one authentication more, and hops are taken in ssh's order."""
    before = server.counts()
    hello(opened("inner"))
    assert (server.counts() - before).authentications == 2
    hello(opened("twice"))
    assert (server.counts() - before).authentications == 5


def test_jump_unknown(jump, server, opened):
    """A gateway's unknown key is refused as well."""
    jump.write_text("")
    with pytest.raises(RemoteError, match="is unknown"):
        opened("inner")


def test_jump_changed(jump, home, server, opened, tmp_path):
    """A gateway's changed key is refused as well."""
    make_key(tmp_path / "old")
    kind, key = (tmp_path / "old.pub").read_text().split()[:2]
    jump.write_text(f"[127.0.0.1]:{server.port} {kind} {key}\n")
    with pytest.raises(RemoteError, match="has CHANGED"):
        opened("inner")


def test_jump_nowhere(jump, home, opened):
    """A host that the gateway cannot reach is told from the gateway."""
    with (home / ".ssh" / "config").open("a") as config:
        config.write("Host lost\n  HostName 127.0.0.1\n  Port 1\n  ProxyJump gate\n")
    with pytest.raises(
        RemoteError, match=r"the host before it cannot reach 127.0.0.1:1 .*ProxyJump"
    ):
        opened("lost")


def test_jump_in_circle(home, opened):
    """Hops that go in a circle are named."""
    (home / ".ssh" / "config").write_text("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    with pytest.raises(RemoteError, match="ProxyJump a goes in a circle"):
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


def test_proxy_command(home, server, opened, hello, tmp_path):
    """A ProxyCommand with quotes and tokens carries the connection, and ends with it."""
    (tmp_path / "for ward.py").write_text(FORWARD)
    with (home / ".ssh" / "config").open("a") as config:
        config.write(f"  ProxyCommand {sys.executable} '{tmp_path}/for ward.py' %p\n")
    hello(opened())


def test_proxy_command_fails(home, opened):
    """A ProxyCommand that leads nowhere is named."""
    with (home / ".ssh" / "config").open("a") as config:
        config.write("  ProxyCommand false %h\n")
    with pytest.raises(RemoteError, match="ProxyCommand 'false 127.0.0.1' does not lead"):
        opened()


def test_unknown_name(opened):
    """A name that nobody knows is named."""
    with pytest.raises(RemoteError, match="unknown host 'nowhere.invalid': mend remex_host"):
        opened("nowhere.invalid")


def test_refused_port(opened):
    """A closed port is named."""
    with pytest.raises(RemoteError, match="127.0.0.1:1 refuses connections"):
        opened("127.0.0.1:1")


def test_silent_host(home, opened):
    """A host that takes the connection and says nothing is given up after ConnectTimeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        (home / ".ssh" / "config").write_text("Host *\n  ConnectTimeout 1\n")
        with pytest.raises(RemoteError, match=f"127.0.0.1:{port} did not answer in 1 s"):
            opened(f"127.0.0.1:{port}")


def test_busy_host(server, opened, hello):
    """A server that turns connections away for a moment is tried again."""
    with server.with_options(MaxStartups="1:100:1"):
        waiting = socket.create_connection(("127.0.0.1", server.port))
        waiting.recv(64)
        threading.Timer(0.7, waiting.close).start()
        hello(opened())
        waiting.close()


@pytest.mark.parametrize(
    "host",
    [
        "",
        "-oProxyCommand=touch x",
        "a;touch x",
        "$(touch x)",
        "`touch x`",
        "a b",
        "a\nb",
        "a\0b",
        "@",
    ],
)
def test_hostile_host(opened, tmp_path, monkeypatch, host):
    """A host that is no name is refused, and nothing of it runs."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RemoteError, match=re.escape(repr(host)) if host != "@" else "@"):
        opened(host)
    assert not (tmp_path / "x").exists()


def test_broken_config(home, opened):
    """What ssh says of a broken configuration is passed on."""
    (home / ".ssh" / "config").write_text("Host cluster\n  Frobnicate yes\n")
    with pytest.raises(RemoteError, match="Bad configuration option: frobnicate"):
        opened()
