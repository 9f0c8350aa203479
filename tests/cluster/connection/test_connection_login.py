"""Logging in: once, by the keys that ssh would use, asking where ssh would ask."""

import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from asking import Typist, look
from support.daemons import wait_until
from support.proxy import Proxy
from support.sshd import HOST, SshServer, make_key

from pytest_remex import Remote
from pytest_remex.common.protocol import ListOutputs
from pytest_remex.errors import ConnectionLostError, RemoteError, UnreachableError
from pytest_remex.transport import login_shell
from pytest_remex.transport.connection import connect
from pytest_remex.transport.connections import Connections

ASKED_IN_A_LOGIN = re.compile(rb"receive packet: type (?:5|50) ")
"""How sshd logs SSH_MSG_SERVICE_REQUEST and SSH_MSG_USERAUTH_REQUEST, each of which it answers."""


def write_config(home, server, *lines):
    """Name the server as `cluster`; only `lines` name keys."""
    text = f"Host {HOST}\n  HostName 127.0.0.1\n  Port {server.port}\n  User {server.user}\n"
    (home / ".ssh" / "config").write_text(text + "".join(f"  {line}\n" for line in lines))


@pytest.fixture
def locked_key(tmp_path, server):
    """Return a copy of the user's key that opens with the passphrase `open sesame`."""
    key = tmp_path / "locked"
    key.write_bytes(server.key.read_bytes())
    key.chmod(0o600)
    words = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)]
    subprocess.run(words, check=True, capture_output=True)
    return key


@pytest.fixture
def key_agent(socket_folder):
    """Yield a function that starts a key agent which holds the given keys."""
    processes = []

    def start(*keys):
        path = socket_folder / "agent"
        processes.append(
            subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
        )
        wait_until(path.exists, "ssh-agent listens")
        for key in keys:
            subprocess.run(
                ["ssh-add", "-q", key], check=True, env={**os.environ, "SSH_AUTH_SOCK": str(path)}
            )
        return path

    yield start
    for process in processes:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.transports("fabric", "openssh")
def test_one_authentication(server, opened, runs, tmp_path):
    """Requests and fetches share one connection and one authentication."""
    before = server.counts()
    connection = opened()
    (runs / "a").write_text("1")
    for _ in range(3):
        look(connection)
        connection.fetch(str(runs), ["a"], tmp_path / "here")
    counts = server.counts() - before
    assert (counts.connections, counts.authentications) == (1, 1)


@pytest.mark.fabric_only("ssh asks in its own order")
def test_a_key_for_this_host_alone_is_offered_at_once(home, server, runs):
    """With IdentitiesOnly, two round trips less: the server is not asked first what it accepts."""
    config = home / ".ssh" / "config"
    round_trips = []
    with server.with_options(LogLevel="DEBUG3"):
        for line in ("IdentitiesOnly yes", "IdentitiesOnly no"):
            config.write_text(config.read_text().replace("IdentitiesOnly yes", line))
            before = len(server.log.read_bytes())
            with connect(Remote(HOST, runs=str(runs))):
                log = server.log.read_bytes()[before:]
            round_trips.append(len(ASKED_IN_A_LOGIN.findall(log)))
    assert round_trips == [2, 4]


def test_a_key_that_is_refused_does_not_end_the_login(home, second_factor, opened, tmp_path):
    """If the server refuses the key for this host alone, it is asked what else it accepts."""
    second_factor.client(home)
    make_key(tmp_path / "wrong")
    config = home / ".ssh" / "config"
    wrong = f"IdentityFile {tmp_path / 'wrong'}"
    config.write_text(re.sub("IdentityFile .*", wrong, config.read_text()))
    user = Typist("123456")
    with second_factor.with_options(
        AuthenticationMethods="publickey keyboard-interactive", PasswordAuthentication="no"
    ):
        look(opened(prompt=user))
    assert len(user.asked) == 1


@pytest.mark.fabric_only("ssh opens its own socket")
def test_a_small_message_is_sent_at_once(opened):
    """The system does not hold it back until the one before it was confirmed."""
    sock = opened()._transport._ssh.sock
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.fabric_only("ssh asks and refuses in its own words")
def test_passphrase(home, server, opened, locked_key):
    """A key with a passphrase asks for it, again after a wrong one, without echo."""
    write_config(home, server, f"IdentityFile {locked_key}")
    user = Typist("wrong", "open sesame")
    look(opened(prompt=user))
    assert user.asked == [(f"Passphrase for the key {locked_key}: ", False)] * 2


@pytest.mark.fabric_only("ssh asks and refuses in its own words")
def test_nobody_to_ask(home, server, opened, locked_key):
    """Without a terminal, the error names what ssh asked for."""
    write_config(home, server, f"IdentityFile {locked_key}")
    with pytest.raises(RemoteError, match=r"asks 'Passphrase for the key .*/locked:'.*terminal"):
        opened()


@pytest.mark.fabric_only("ssh asks and refuses in its own words")
def test_passphrase_left_empty(home, server, opened, locked_key):
    """An empty passphrase leaves the key out; the refusal names the user and what was tried."""
    write_config(home, server, f"IdentityFile {locked_key}")
    with pytest.raises(RemoteError, match=f"refused the login of '{server.user}'.*tried: nothing"):
        opened(prompt=Typist(""))


def test_key_agent(home, server, opened, key_agent, monkeypatch):
    """A key that only the key agent holds is enough."""
    write_config(home, server)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(key_agent(server.key)))
    look(opened())


def test_identity_agent(home, server, opened, key_agent, tmp_path):
    """IdentityAgent and IdentitiesOnly pick the key agent and, by its public half, the key."""
    others = [tmp_path / f"other{number}" for number in range(8)]
    for other in others:
        make_key(other)
    agent = key_agent(*others, server.key)
    named = f"IdentityFile {server.key}.pub"
    write_config(home, server, f"IdentityAgent {agent}", "IdentitiesOnly yes", named)
    look(opened())


@pytest.mark.fabric_only("ssh asks and refuses in its own words")
def test_too_many_keys(home, server, opened, key_agent, tmp_path):
    """A server that hangs up after too many keys is distinguished from one that refuses."""
    others = [tmp_path / f"other{number}" for number in range(8)]
    for other in others:
        make_key(other)
    write_config(home, server, f"IdentityAgent {key_agent(*others, server.key)}")
    with pytest.raises(
        RemoteError, match=r"hung up during the login.*MaxAuthTries.*IdentitiesOnly yes"
    ):
        opened()


@pytest.mark.fabric_only("ssh asks and refuses in its own words")
def test_wrong_key(home, server, opened, tmp_path):
    """A refused login names the user, the key that was tried and what the server accepts."""
    make_key(tmp_path / "wrong")
    write_config(home, server, f"IdentityFile {tmp_path / 'wrong'}")
    message = (
        rf"127.0.0.1 refused the login of '{server.user}': it accepts publickey; tried: .*wrong"
    )
    with pytest.raises(RemoteError, match=message):
        opened()


def test_certificate(home, server, opened, tmp_path):
    """A key with its certificate can log in if the server knows only the authority."""
    authority, key = tmp_path / "authority", tmp_path / "signed"
    make_key(authority)
    make_key(key)
    words = ["ssh-keygen", "-q", "-s", authority, "-I", "test", "-n", server.user, f"{key}.pub"]
    subprocess.run(words, check=True, capture_output=True)
    write_config(home, server, f"IdentityFile {key}")
    with server.with_options(TrustedUserCAKeys=f"{authority}.pub", AuthorizedKeysFile="none"):
        look(opened())


@pytest.fixture(scope="module")
def second_factor(tmp_path_factory):
    """Yield an sshd with PAM, whose stack asks for a code and takes 123456."""
    folder = tmp_path_factory.mktemp("pam")
    check = folder / "check"
    check.write_text('#!/bin/sh\nread -r code\n[ "$code" = 123456 ]\n')
    check.chmod(0o755)
    with PamServer(check) as server:
        yield server


def sshd_version():
    """Return the version of this machine's sshd, such as (9, 2)."""
    shown = subprocess.run(["/usr/sbin/sshd", "-V"], capture_output=True, text=True, check=False)
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", shown.stdout + shown.stderr)
    return int(found[1]), int(found[2])


class PamServer(SshServer):
    """An sshd with a PAM stack of its own: before OpenSSH 9.8 the program's name chooses it."""

    def __init__(self, check):
        super().__init__(
            options={
                "UsePAM": "yes",
                "KbdInteractiveAuthentication": "yes",
                "PermitRootLogin": "yes",  # else sshd hands PAM a password that is always wrong
            }
        )
        self.name = f"remex-test-{self.port}"
        if sshd_version() >= (9, 8):
            self._options["PAMServiceName"] = self.name
        self._check = check
        program = self.folder / self.name
        program.symlink_to("/usr/sbin/sshd")
        self.daemon.command[0] = str(program)

    def __enter__(self):
        self._stack().write_text(
            f"auth requisite pam_exec.so quiet expose_authtok {self._check}\n"
            "auth required pam_permit.so\n"
            "account required pam_permit.so\nsession required pam_permit.so\n"
        )
        return super().__enter__()

    def __exit__(self, *error):
        self._stack().unlink()
        super().__exit__(*error)

    def _stack(self):
        return Path("/etc/pam.d") / self.name


@pytest.mark.transports("fabric", "openssh")
def test_second_factor(home, second_factor, opened):
    """After the key the server's question goes to the user; one answer serves all requests."""
    second_factor.client(home)
    user = Typist("123456")
    with second_factor.with_options(AuthenticationMethods="publickey,keyboard-interactive"):
        connection = opened(prompt=user)
        look(connection)
    assert [echo for _, echo in user.asked] == [False]
    assert "Password:" in user.asked[0][0]


def test_second_factor_mistyped(home, second_factor, opened):
    """A wrong code is asked for again."""
    second_factor.client(home)
    user = Typist("000000", "123456")
    with second_factor.with_options(AuthenticationMethods="publickey,keyboard-interactive"):
        look(opened(prompt=user))
    assert len(user.asked) == 2


def test_second_factor_given_up(home, second_factor, opened):
    """An interrupt at the question ends the login at once."""
    second_factor.client(home)

    def interrupted(text, *, echo):
        raise KeyboardInterrupt

    with (
        second_factor.with_options(AuthenticationMethods="publickey,keyboard-interactive"),
        pytest.raises(KeyboardInterrupt),
    ):
        opened(prompt=interrupted)


def test_a_login_that_is_begun_early_asks_when_it_is_needed(home, second_factor, runs):
    """Until somebody waits for the connection, no question is shown; then, in that thread."""
    second_factor.client(home)
    asked = []

    def prompt(text, *, echo):
        asked.append(threading.current_thread())
        return "123456"

    remote = Remote("cluster", runs=str(runs))
    connections = Connections(prompt, lambda _: None)
    with second_factor.with_options(AuthenticationMethods="publickey,keyboard-interactive"):
        connections.begin(remote)
        wait_until(lambda: second_factor.counts().connections, "the login has begun")
        time.sleep(1)
        assert not asked
        look(connections.to(remote))
        connections.close()
    assert asked == [threading.current_thread()]


def test_a_login_that_nobody_waits_for_is_given_up(home, second_factor, runs):
    """A command that ends before it needs its connection shows no question, and leaves none."""
    second_factor.client(home)
    connections = Connections(pytest.fail, pytest.fail)
    with second_factor.with_options(AuthenticationMethods="publickey,keyboard-interactive"):
        connections.begin(Remote("cluster", runs=str(runs)))
        wait_until(lambda: second_factor.counts().connections, "the login has begun")
        connections.close()
        wait_until(lambda: not _logins(), "the login has ended")


def _logins():
    """Return the threads of logins that have not ended."""
    return [each for each in threading.enumerate() if each.name == "remex-connect"]


@pytest.mark.fabric_only("ssh asks and refuses in its own words")
def test_password(home, second_factor, opened):
    """If the server accepts only a password, the prompt names user and host."""
    second_factor.client(home)
    user = Typist("wrong", "123456")
    with second_factor.with_options(PasswordAuthentication="yes", AuthenticationMethods="password"):
        look(opened(prompt=user))
    assert user.asked == [(f"Password of {second_factor.user}@127.0.0.1: ", False)] * 2


def test_a_link_that_breaks_asks_for_no_second_code(home, runs):
    """A connection that reopens by itself prompts nobody: the user may have left."""
    asked = []

    def prompt(text, *, echo):
        asked.append((text, echo))
        return "123456"

    remote = Remote("cluster", runs=str(runs))
    with SshServer(code="123456") as server, Proxy(server.port) as proxy:
        server.client(home, port=proxy.port)
        connections = Connections(prompt, lambda _: None)
        request = ListOutputs(str(runs), [])
        list(connections.to(remote).ask(request))
        proxy.cut()
        with pytest.raises(ConnectionLostError):
            list(connections.to(remote).ask(request))
        connections.drop_broken()
        with pytest.raises(RemoteError, match="you cannot be prompted now") as refused:
            connections.to(remote)
        assert not isinstance(refused.value, UnreachableError)
        connections.close()
    assert len(asked) == 1


LIST_KEYS = """
import os, subprocess
done = subprocess.run(["ssh-add", "-l"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
os.write(1, done.stdout + b"exit code %d" % done.returncode)
"""


@pytest.fixture
def forwarding(request, home, server, key_agent, monkeypatch):
    """Write an ssh_config with this line, and let a variable name a key agent."""
    line, variable = request.param
    monkeypatch.setenv(variable, str(key_agent(server.key)))
    write_config(home, server, f"IdentityFile {server.key}", line)


@pytest.mark.parametrize(
    ("forwarding", "is_there"),
    [
        (("ForwardAgent yes", "SSH_AUTH_SOCK"), True),
        (("ForwardAgent $OTHER", "OTHER"), True),
        (("ForwardAgent no", "SSH_AUTH_SOCK"), False),
    ],
    indirect=["forwarding"],
)
def test_the_key_agent_is_forwarded(forwarding, opened, is_there):
    """Programs on the cluster may use the key agent if ForwardAgent says so, and only then."""
    transport = opened()._transport
    for _ in range(2):
        channel = transport.python(LIST_KEYS)
        assert (b"ED25519" in b"".join(iter(channel.read, b""))) is is_there
        channel.close()


def test_a_key_agent_that_is_gone_is_no_fault(home, server, opened, monkeypatch):
    """Without an agent to forward, programs find one that does not answer, and continue."""
    monkeypatch.setenv("SSH_AUTH_SOCK", str(home / "gone"))
    write_config(home, server, f"IdentityFile {server.key}", "ForwardAgent yes")
    channel = opened()._transport.python(LIST_KEYS)
    said = b"".join(iter(channel.read, b""))
    assert b"exit code" in said
    assert b"exit code 0" not in said
    channel.close()


LATE = """
import os, time
if not os.fork():
    time.sleep(SECONDS)
    os.write(1, b"last")
"""


def test_what_comes_after_the_exit_status(opened):
    """Output that comes soon after a program's exit status is not lost."""
    program = LATE.replace("SECONDS", str(1.5 * login_shell.LINGER))
    channel = opened()._transport.python(program)
    assert b"".join(iter(channel.read, b"")) == b"last"
    channel.close()
