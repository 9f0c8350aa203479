"""What ssh_config says of a host, as ssh itself reads it."""

import shutil

import pytest

from pytest_remex.errors import RemoteError
from pytest_remex.remote.config import host_settings, route

pytestmark = pytest.mark.skipif(not shutil.which("ssh"), reason="needs OpenSSH's client")


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """Give a function that writes ~/.ssh/config and gives ~/.ssh."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)

    def configure(text=""):
        (folder / "config").write_text(text)
        return folder

    return configure


def test_defaults(configure):
    """A host of which nothing is said has ssh's port and files, and a patience of our own."""
    folder = configure()
    for name in ("known_hosts", "id_ed25519", "id_rsa.pub"):
        (folder / name).touch()
    host = host_settings("user@machine.example")
    assert (host.hostname, host.user, host.port) == ("machine.example", "user", 22)
    assert host.known_as == "machine.example"
    assert folder / "known_hosts" in host.known_hosts
    assert host.identities == (folder / "id_rsa", folder / "id_ed25519")
    assert (host.agent, host.jumps, host.proxy, host.timeout) == (None, (), None, 20)


def test_alias(configure, tmp_path):
    """An alias brings all that its entry says, from included files too."""
    folder = configure(f"Include {tmp_path}/.ssh/*.conf\n")
    (folder / "keys of mine").touch()
    (folder / "a.conf").write_text(
        "Host c*\n  HostName login.%h.example\n  User me\n  Port 2222\n  ConnectTimeout 3\n"
        "  ServerAliveInterval 7\n  IdentitiesOnly yes\n  IdentityFile ~/.ssh/%r-%h-key\n"
        "  IdentityAgent ~/my.sock\n  HostKeyAlias other\n"
        f'  UserKnownHostsFile "{folder}/keys of mine"\n'
    )
    (folder / "me-login.cluster.example-key").touch()
    host = host_settings("cluster")
    assert (host.hostname, host.user, host.port) == ("login.cluster.example", "me", 2222)
    assert (host.known_as, host.timeout, host.keepalive) == ("other", 3, 7)
    assert host.identities == (folder / "me-login.cluster.example-key",)
    assert host.identities_only
    assert host.agent == str(tmp_path / "my.sock")
    assert folder / "keys of mine" in host.known_hosts


@pytest.mark.parametrize(
    ("name", "known_as", "user"),
    [
        ("me@machine:2222", "[machine]:2222", "me"),
        ("ssh://me@machine:2222", "[machine]:2222", "me"),
        ("me@[::1]:2222", "[::1]:2222", "me"),
        ("me@::1", "::1", "me"),
    ],
)
def test_ways_to_write(configure, name, known_as, user):
    """A host may be written with its port, as an ssh:// address, or as an IPv6 address."""
    configure()
    host = host_settings(name)
    assert (host.known_as, host.user) == (known_as, user)


def test_key_agent(configure, monkeypatch):
    """The key agent is the environment's, unless ssh_config says none."""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/some/socket")
    configure("Host none\n  IdentityAgent none\n")
    assert host_settings("any").agent == "/some/socket"
    assert host_settings("none").agent is None


def test_proxy_command(configure):
    """The tokens of a ProxyCommand are put in, `%%` as well."""
    configure(
        "Host a\n  HostName real\n  Port 99\n  ProxyCommand relay %h %p %r %n 100%%\n  User me\n"
    )
    assert host_settings("a").proxy == "relay real 99 me a 100%"


def test_route(configure):
    """Hops come in ssh's order; only the first may have hops of its own."""
    configure(
        "Host far\n  ProxyJump one,me@two:22\nHost one\n  ProxyJump zero\nHost two\n  ProxyJump x\n"
        "Host direct\n  ProxyJump none\n"
    )
    assert [host.hostname for host in route("far")] == ["zero", "one", "two", "far"]
    assert [host.hostname for host in route("direct")] == ["direct"]


def test_ssh_missing(configure, monkeypatch):
    """Where ssh is missing, the message says what to install."""
    configure()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RemoteError, match="ssh is not on the PATH: install OpenSSH's client"):
        host_settings("any")
