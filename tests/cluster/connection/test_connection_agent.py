"""Asking the agent over a connection with noise, one that breaks or one that freezes."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from asking import answered, large_request, look
from support.sshd import NOISY_RC

from pytest_remex.common.parts import ListedRun
from pytest_remex.common.protocol import LOCAL, ListOutputs, LookAtHost, Outputs
from pytest_remex.errors import ConnectionLostError, RemoteError


@pytest.mark.parametrize(
    "rc",
    [
        NOISY_RC,
        "echo a line; echo 'and more' >&2",
        "printf '\\xff\\xfe\\0 %s' 'half a line'",
        "head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero >&2",
        "set -x; yes | head -n 1000",
    ],
)
def test_noisy_shell(server, opened, rc):
    """Output of start-up files on either stream, much or little, does no harm."""
    server.shell(rc)
    look(opened())


def test_python_missing(server, opened):
    """A login shell without python3 is reported, with the fix."""
    (server.home / ".bash_profile").write_text("export PATH=/nowhere\n")
    with pytest.raises(RemoteError, match=r"python3 was not found on cluster.*remex_shell"):
        look(opened())


def test_python_too_old(server, opened):
    """A python3 that cannot run the agent is reported with its output."""
    old = server.home / "bin" / "python3"
    old.write_text("#!/bin/sh\necho 'SyntaxError: you are living in the past' >&2\nexit 1\n")
    old.chmod(0o755)
    try:
        with pytest.raises(RemoteError, match=r"did not start on cluster .*living in the past"):
            look(opened())
    finally:
        old.unlink()


@pytest.mark.parametrize("shell", ["nosuchshell -c", "bash -c 'unfinished"])
def test_wrong_shell(opened, shell):
    """A remex_shell that does not run is reported by its name or its output."""
    with pytest.raises(RemoteError, match=r"nosuchshell|unfinished"):
        look(opened(login_shell=shell))


def test_other_shells(opened):
    """The command works in a shell that is not a login shell."""
    look(opened(login_shell="env -i PATH=/usr/bin:/bin sh -c"))


def test_refusal(opened, runs):
    """An error of the agent is raised with its words and the host."""
    with pytest.raises(RemoteError, match=r"cluster: .*/nowhere"):
        list(opened().ask(LookAtHost("/nowhere", str(runs), LOCAL)))


def test_goes_on_after_refusal(opened, runs):
    """A refused request leaves the agent as it was."""
    connection = opened()
    with pytest.raises(RemoteError):
        list(connection.ask(LookAtHost("/nowhere", str(runs), LOCAL)))
    look(connection)


def test_abandoned_answer(opened, runs):
    """An answer that is not read to its end does not get into the next."""
    connection = opened()
    connection.ask(LookAtHost("", str(runs), LOCAL))
    next(connection.ask(LookAtHost("", str(runs), LOCAL)))
    request = ListOutputs(str(runs), [ListedRun("run", ["a"])])
    assert list(connection.ask(request)) == [Outputs("run", [], [], ["a"], gone=True)]


@pytest.mark.transports("fabric", "openssh")
def test_cut_link(opened, proxy):
    """A link cut during a request means that its outcome is unknown, and says so."""
    connection = opened()
    look(connection)
    proxy.cut_after(0, "down")
    with pytest.raises(ConnectionLostError, match=r"connection to cluster broke .*unknown"):
        look(connection)
    with pytest.raises(ConnectionLostError):
        look(connection)


@pytest.mark.parametrize("count", [10, 500, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000])
def test_cut_anywhere(opened, proxy, count):
    """A link that is cut anywhere is tried again before the login, and a clear error after it."""
    proxy.cut_after(count, "down")
    started = time.monotonic()
    with suppress(RemoteError):
        look(opened())
    assert proxy.connections <= 2
    assert time.monotonic() - started < 10


def test_close_of_a_link_that_is_gone(opened, proxy):
    """A dead link, which only the next packet would detect, closes silently."""
    connection = opened()
    look(connection)
    proxy.freeze()
    take_no_more(proxy.port)
    connection.close()


def take_no_more(port):
    """Make the system refuse what this process sends to `port`, as on a dead link."""
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError), ExitStack() as stack:
            end = socket.socket(fileno=int(file.name))
            stack.callback(end.detach)
            if end.family == socket.AF_INET and end.getpeername()[1] == port:
                end.shutdown(socket.SHUT_WR)


@pytest.mark.transports("fabric", "openssh")
def test_frozen_link(opened, proxy):
    """A link on which nothing moves counts as lost after the time set, and closes at once."""
    connection = answered(opened, idle_timeout=1)
    proxy.freeze()
    with pytest.raises(ConnectionLostError, match="cluster sent nothing for 1 s"):
        look(connection)
    connection.close()
    assert time.monotonic() - proxy.frozen_at < 4


ASKING = """
import sys
from asking import look
from pytest_remex import Remote
from pytest_remex.transport.connection import connect
remote = Remote("cluster", runs=sys.argv[1], transport=sys.argv[2])
with connect(remote, idle_timeout=2) as connection:
    look(connection)
    for _ in range(3):
        print("ready", flush=True)
        sys.stdin.readline()
        look(connection)
    print("done", flush=True)
"""


@pytest.mark.transports("fabric", "openssh")
def test_stopped_while_it_waits(proxy, transport, runs):
    """A client that was stopped, as by Ctrl-Z, reads what came meanwhile; the link stays."""
    words = [sys.executable, "-c", ASKING, str(runs), transport]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    variables = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen(words, **pipes, env=variables, bufsize=0) as client:
        for _ in range(3):
            assert client.stdout.readline() == b"ready\n"
            proxy.freeze()
            client.stdin.write(b"\n")
            time.sleep(0.5)
            client.send_signal(signal.SIGSTOP)
            proxy.thaw()
            time.sleep(3)
            client.send_signal(signal.SIGCONT)
        assert client.stdout.readline() == b"done\n"


@pytest.mark.transports("fabric", "openssh")
def test_frozen_upload(opened, proxy, runs):
    """A link that freezes under a large request counts as lost as well."""
    connection = answered(opened, idle_timeout=1)
    proxy.freeze_after(5_000_000)
    with pytest.raises(ConnectionLostError):
        list(connection.ask(large_request(runs, 100_000_000)))
    connection.close()
    assert time.monotonic() - proxy.frozen_at < 7.8


def test_slow_work(opened, runs, proxy):
    """A link that freezes for less than the idle timeout is waited for."""
    connection = opened(idle_timeout=7)
    look(connection)
    proxy.freeze()
    threading.Timer(5, proxy.thaw).start()
    look(connection)


@pytest.mark.transports("fabric", "openssh")
def test_large_request(opened, runs):
    """A request of 50 MB arrives whole."""
    (event,) = opened().ask(large_request(runs, 50_000_000))
    assert event == Outputs("x" * 50_000_000, [], [], [])


@pytest.mark.transports("fabric", "openssh")
def test_agent_killed(opened, server):
    """An agent that is killed is distinguished from a broken link."""
    connection = opened(login_shell=f"bash -lc 'echo $$ > {server.home}/pid; eval \"$0\"'")
    look(connection)
    os.kill(int((server.home / "pid").read_text()), signal.SIGKILL)
    with pytest.raises(ConnectionLostError, match="agent"):
        look(connection)


@pytest.mark.transports("fabric", "openssh")
def test_close_ends_agent(opened):
    """Closing the connection leaves no thread behind."""
    connection = opened()
    look(connection)
    connection.close()
    assert [thread.name for thread in threading.enumerate() if "remex" in thread.name] == []
    with pytest.raises(RemoteError):
        look(connection)
