"""A host's settings in ssh_config, as ssh itself reads them."""

import pwd
import shutil
from pathlib import Path

import pytest

from pytest_remex.errors import RemoteError
from pytest_remex.transport.ssh_config import (
    config_options,
    home,
    host_settings,
    path_from_ssh,
    route,
)

pytestmark = pytest.mark.skipif(not shutil.which("ssh"), reason="needs OpenSSH's client")


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """Return a function that writes ~/.ssh/config and returns ~/.ssh."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    folder = tmp_path / ".ssh"
    folder.mkdir(mode=0o700)

    def configure(text=""):
        (folder / "config").write_text(text)
        return folder

    return configure


def test_defaults(configure):
    """A host that ssh_config does not name has ssh's port and files, and our own timeout."""
    folder = configure()
    for name in ("known_hosts", "id_ed25519", "id_rsa.pub"):
        (folder / name).touch()
    host = host_settings("user@machine.example")
    assert (host.hostname, host.user, host.port) == ("machine.example", "user", 22)
    assert host.known_as == "machine.example"
    assert host.known_hosts[0] == folder / "known_hosts"
    assert host.identities == (folder / "id_rsa", folder / "id_ed25519")
    assert (host.agent, host.jumps, host.proxy, host.timeout) == (None, (), None, 20)


def test_alias(configure, tmp_path):
    """An alias brings all settings of its entry, from included files too."""
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
    """The key agent is the environment's, unless ssh_config names none."""
    monkeypatch.setenv("SSH_AUTH_SOCK", "/some/socket")
    configure("Host none\n  IdentityAgent none\n")
    assert host_settings("any").agent == "/some/socket"
    assert host_settings("none").agent is None


def test_proxy_command(configure):
    """The tokens of a ProxyCommand are expanded, `%%` as well."""
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
    assert [host.hostname for host in route(host_settings("far"))] == ["zero", "one", "two", "far"]
    assert [host.hostname for host in route(host_settings("direct"))] == ["direct"]


def test_ssh_missing(configure, monkeypatch):
    """If ssh is missing, the message says what to install."""
    configure()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RemoteError, match="ssh is not on the PATH: install OpenSSH's client"):
        host_settings("any")


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Let the password database name a second home, full of what must not count; return it.

    ssh itself goes by the real one: this stands in for that where a test cannot write.
    """
    real = pwd.getpwuid
    other = tmp_path / "recorded"
    (other / ".ssh").mkdir(parents=True)
    for name in ("known_hosts", "known_hosts2", "id_rsa", "id_ed25519", "more"):
        (other / ".ssh" / name).touch()

    def getpwuid(uid):
        return pwd.struct_passwd([*real(uid)[:5], str(other), real(uid)[6]])

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    return other


def test_nothing_of_the_other_home(configure, recorded):
    """Where HOME is moved, keys and known_hosts in the recorded home do not count, there or not."""
    configure(
        f"Host *\n  UserKnownHostsFile {recorded}/.ssh/known_hosts {recorded}/.ssh/more\n"
        f"  IdentityAgent {recorded}/agent.sock\n  GlobalKnownHostsFile {recorded}/.ssh/more\n"
        f"  RevokedHostKeys {recorded}/.ssh/more\n"
    )
    host = host_settings("any")
    assert (host.known_hosts, host.identities) == ((), ())
    assert host.agent == str(Path.home() / "agent.sock")
    assert host.revoked_keys_files == (Path.home() / ".ssh" / "more",)
    assert host.new_keys_file == Path.home() / ".ssh" / "known_hosts"


def test_home_in_the_recorded_one(configure, recorded, monkeypatch):
    """A moved HOME below the recorded home keeps the paths that are written into it."""
    below = recorded / "moved"
    (below / ".ssh").mkdir(parents=True)
    (below / ".ssh" / "known").touch()
    (below / ".ssh" / "config").write_text(f"Host *\n  UserKnownHostsFile {below}/.ssh/known\n")
    monkeypatch.setenv("HOME", str(below))
    assert host_settings("any").known_hosts[0] == below / ".ssh" / "known"


def test_home_by_another_path(recorded, monkeypatch, tmp_path):
    """A HOME that is a link to the recorded home is the same home: ssh reads its own files."""
    link = tmp_path / "link"
    link.symlink_to(recorded)
    monkeypatch.setenv("HOME", str(link))
    assert config_options() == []


@pytest.mark.parametrize("value", [None, "", "relative"])
def test_home_of_no_use(recorded, monkeypatch, value):
    """If HOME is not an absolute path, the password database's home counts."""
    monkeypatch.delenv("HOME") if value is None else monkeypatch.setenv("HOME", value)
    assert home() == recorded
    assert config_options() == []


@pytest.mark.parametrize("name", ["/.ssh/known_hosts", "//.ssh/known_hosts"])
def test_recorded_home_is_the_root(configure, recorded, monkeypatch, name):
    """If the password database's home is /, as in containers, only its .ssh is replaced."""
    folder = configure()
    fields = [*pwd.getpwuid(0)[:5], "/", "/bin/sh"]
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd(fields))
    assert path_from_ssh(name) == folder / "known_hosts"
    assert path_from_ssh("/etc/ssh/ssh_known_hosts") == Path("/etc/ssh/ssh_known_hosts")


def test_written_homes(configure, monkeypatch):
    """`~`, %d, ${HOME} and a relative Include all mean HOME."""
    folder = configure("Include more.conf\n")
    (folder / "more.conf").write_text(
        "Host *\n  IdentityFile ~/.ssh/a\n  IdentityFile %d/.ssh/b\n"
        "  IdentityFile ${HOME}/.ssh/c\n  CertificateFile ~/.ssh/d\n  IdentityAgent %d/sock\n"
        "  UserKnownHostsFile ~/.ssh/e ~/.ssh/f\n  RevokedHostKeys ~/.ssh/g\n"
    )
    for name in "abcdef":
        (folder / name).touch()
    host = host_settings("any")
    assert [path.name for path in host.identities] == ["d", "a", "b", "c"]
    assert [path.name for path in host.known_hosts[:2]] == ["e", "f"]
    assert (host.agent, host.revoked_keys_files) == (str(folder.parent / "sock"), (folder / "g",))
    assert {path.parent for path in host.identities + host.known_hosts[:2]} == {folder}


def test_home_of_nobody(configure):
    """A `~name` without such a user is a clear error."""
    configure("Host *\n  IdentityFile ~no-such-user/key\n")
    with pytest.raises(RemoteError, match="there is no user 'no-such-user'"):
        host_settings("any")


def test_known_hosts_with_blanks(configure, tmp_path, monkeypatch):
    """A name with blanks is found among others, and its words are not names."""
    folder = configure(f'Host *\n  UserKnownHostsFile {tmp_path}/one "{tmp_path}/keys of mine"\n')
    for name in ("one", "keys of mine", "of", "mine"):
        (tmp_path / name).touch()
    monkeypatch.chdir(folder.parent)
    assert host_settings("any").known_hosts[:2] == (tmp_path / "one", tmp_path / "keys of mine")
    assert not {Path("of"), Path("mine")} & set(host_settings("any").known_hosts)
