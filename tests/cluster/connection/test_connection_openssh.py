"""The user's own ssh as the transport: its open connections, its questions, its host keys."""

import os
import subprocess
import sys
import time

import pytest
from asking import Typist, look, write
from support.daemons import wait_until
from support.proxy import Proxy
from support.sshd import SshServer, make_key

from pytest_remex import Remote
from pytest_remex.errors import ConnectionLostError, RemoteError, UnreachableError
from pytest_remex.transport.connection import connect

pytestmark = pytest.mark.transports("openssh")


@pytest.fixture
def master(home, server, tmp_path, socket_folder):
    """Yield a function that logs in by `ssh -fNM`, as users do once a day; its end logs out."""
    path = socket_folder / "control %h"
    server.client(home, lines=f'  ControlPath "{path}"\n')
    ssh = ["ssh", "-F", home / ".ssh" / "config"]

    def started():
        with (tmp_path / "ssh.log").open("wb") as log:
            subprocess.run([*ssh, "-fNM", "cluster"], check=True, stdout=log, stderr=log)

    yield started
    subprocess.run([*ssh, "-O", "exit", "cluster"], check=False, capture_output=True)


def to_cluster(runs, transport="auto"):
    return Remote("cluster", runs=str(runs), transport=transport)


def test_an_open_connection_is_used(master, server, runs, here):
    """If ssh has an open connection, everything uses it, and there is no login."""
    master()
    write(runs, "a")
    before = server.counts()
    with connect(to_cluster(runs)) as connection:
        look(connection)
        connection.fetch(str(runs), ["a"], here)
        assert connection.way == "your ssh, over its open connection"
        assert connection.other_way == ""
    assert (server.counts() - before).connections == 0
    assert (here / "a").exists()
    with connect(to_cluster(runs)) as connection:
        look(connection)  # it was not closed with the first


def test_no_open_connection(master, server, runs):
    """If none is open, auto logs in through Fabric, and knows what would save the login."""
    before = server.counts()
    with connect(to_cluster(runs)) as connection:
        look(connection)
        assert connection.way == "Fabric"
        assert "log in once by `ssh -fNM cluster`" in connection.other_way
    assert (server.counts() - before).authentications == 1
    with connect(to_cluster(runs, "openssh")) as connection:
        assert connection.way == "your ssh"


def test_an_open_connection_that_ends(master, home, runs):
    """If ssh's connection ends meanwhile, the link is lost, and there is no new login."""
    master()
    connection = connect(to_cluster(runs))
    look(connection)
    config = home / ".ssh" / "config"
    subprocess.run(["ssh", "-F", config, "-O", "exit", "cluster"], check=True, capture_output=True)
    with pytest.raises(ConnectionLostError, match="connection to cluster broke"):
        look(connection)
    connection.close()


def test_passphrase(home, server, opened, tmp_path):
    """A question of ssh for a passphrase is shown to the user, again after a wrong answer."""
    key = tmp_path / "locked"
    key.write_bytes(server.key.read_bytes())
    key.chmod(0o600)
    words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)]
    subprocess.run(words, check=True, capture_output=True)
    config = home / ".ssh" / "config"
    config.write_text(config.read_text().replace(str(server.key), str(key)))
    user = Typist("wrong", "open sesame")
    look(opened(prompt=user))
    assert user.asked == [(f"Enter passphrase for key '{key}': ", False)] * 2
    with pytest.raises(RemoteError, match=r"could not log in to cluster .*Permission denied"):
        opened()


def test_an_unknown_host_key(home, server, opened):
    """A host key is asked about as by ssh; without a terminal it is refused."""
    known = home / ".ssh" / "known_hosts"
    known.write_text("")
    with pytest.raises(RemoteError, match=r"host key of cluster .*log in once by `ssh cluster`"):
        opened()
    user = Typist("no")
    with pytest.raises(RemoteError, match="host key of cluster"):
        opened(prompt=user)
    user = Typist("yes")
    look(opened(prompt=user))
    ((text, echo),) = user.asked
    assert "SHA256:" in text
    assert echo
    assert known.read_text()


def test_a_changed_host_key(server, opened):
    """A changed host key is refused, also with a terminal."""
    server.change_host_key()
    with pytest.raises(RemoteError, match=r"host key of cluster .* has CHANGED.*ssh-keygen -R"):
        opened(prompt=Typist())


def test_refusals(home, server, opened, tmp_path):
    """A host that cannot be reached differs from one that refuses, each with ssh's words."""
    with pytest.raises(UnreachableError, match="Connection refused"):
        opened("127.0.0.1:1")
    make_key(tmp_path / "wrong")
    config = home / ".ssh" / "config"
    config.write_text(config.read_text().replace(str(server.key), str(tmp_path / "wrong")))
    with pytest.raises(RemoteError, match=r"Permission denied.*`ssh cluster` works") as refused:
        opened()
    assert not isinstance(refused.value, UnreachableError)


@pytest.mark.parametrize(
    "settings",
    [
        ["StdinNull yes"],
        ["SessionType subsystem"],
        ["StdinNull yes", "SessionType none", "ForkAfterAuthentication yes"],
    ],
)
def test_settings_of_a_host_for_forwarding(home, server, opened, settings):
    """Settings of ssh_config by which ssh runs no program, or goes to the background, are undone.

    An ssh before 8.7 does not know them, and refuses the file.
    """
    server.client(home, lines="".join(f"  {setting}\n" for setting in settings))
    look(opened())


def test_a_key_that_only_ssh_can_use(home, server, runs, tmp_path):
    """Where Fabric could not load a key, it says that the ssh command could."""
    config = home / ".ssh" / "config"
    strange = tmp_path / "strange"
    strange.write_text(
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    config.write_text(config.read_text().replace(str(server.key), str(strange)))
    message = r"only ssh can use .*strange: set remex_transport = openssh"
    with pytest.raises(RemoteError, match=message):
        connect(to_cluster(runs, "fabric"))
    server.client(home, lines="  GSSAPIAuthentication yes\n  PKCS11Provider /no/such.so\n")
    read = subprocess.run(["ssh", "-G", "cluster"], check=True, capture_output=True, text=True)
    # some builds of ssh do not have GSSAPI, and ignore what the file says of it
    first = "GSSAPIAuthentication and " if "gssapiauthentication yes" in read.stdout else ""
    named = f"ssh_config names {first}PKCS11Provider, for which remex_transport = openssh is needed"
    with connect(to_cluster(runs)) as connection:
        assert connection.other_way == named


def test_second_factor_without_anybody(home, runs):
    """Without a terminal, there is no wait for a code."""
    with SshServer(code="123456") as server:
        server.client(home)
        started = time.monotonic()
        with pytest.raises(RemoteError, match=r"could not log in to cluster .*Permission denied"):
            connect(to_cluster(runs, "openssh"))
        assert time.monotonic() - started < 10
        user = Typist("123456")
        with connect(to_cluster(runs, "openssh"), prompt=user) as connection:
            look(connection)
        assert len(user.asked) == 1


HOLD = """
import sys
from pytest_remex import Remote
from pytest_remex.transport.connection import connect
with connect(Remote("cluster", runs=sys.argv[1], transport="openssh")) as connection:
    print(connection.host, flush=True)
    sys.stdin.read()
"""


def test_nothing_stays_after_a_kill(home, server, runs):
    """A pytest that is killed leaves no connection of its own open."""
    with Proxy(server.port) as proxy:
        server.client(home, port=proxy.port)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(runs)], **pipes)
        with process:
            process.stdout.readline()
            mine = f"HostName 127.0.0.1\n  Port {proxy.port}"
            assert mine in (home / ".ssh" / "config").read_text()
            assert _is_running(home)
            process.kill()
        wait_until(lambda: not _is_running(home), "ssh ends with its client")


def _is_running(home):
    listed = subprocess.run(
        ["ps", "-eww", "-o", "args"], check=True, capture_output=True, text=True
    ).stdout
    return f"-F {home}/.ssh/config" in listed


@pytest.mark.parametrize("name", ["remex 100%", "n" * 90])
def test_any_temporary_folder(opened, tmp_path, monkeypatch, name):
    """Sockets have a short path even if the temporary folder's path is long."""
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", os.fspath(folder))
    look(opened())
    assert [path for path in folder.iterdir() if not path.name.startswith("remex-ssh-")] == []
