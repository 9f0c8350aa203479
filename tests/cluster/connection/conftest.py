"""Fixtures of the connection's tests: an sshd of their own, and a client's home that knows it."""

from __future__ import annotations

import pytest
from support.sshd import SshServer

from pytest_remex import Remote
from pytest_remex.remote import connect


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
        remote = Remote(host, runs=str(runs), shell=options.pop("shell", "bash -lc"))
        connections.append(connect(remote, **options))
        return connections[-1]

    yield opened
    for connection in connections:
        connection.close()


@pytest.fixture
def hello(runs):
    """Give a function that asks a connection's agent what it is: a round trip."""

    def hello(connection):
        return next(
            iter(list(connection.ask("hello", clone="", runs=str(runs), scheduler="local")))
        )

    return hello


class Typist:
    """A user who answers prompts with the given texts, and remembers what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, text, *, echo):
        self.asked.append((text, echo))
        return self.answers.pop(0)


@pytest.fixture
def typist():
    """Give the Typist class."""
    return Typist
