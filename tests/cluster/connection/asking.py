"""Helpers of the connection's tests."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from pytest_remex.common.parts import ListedRun
from pytest_remex.common.protocol import LOCAL, Host, ListOutputs, LookAtHost
from pytest_remex.errors import ConnectionLostError


def look(connection):
    """Ask a connection's agent for its host, in one round trip."""
    (host,) = connection.ask(LookAtHost("", connection.remote.runs, LOCAL))
    assert isinstance(host, Host)
    return host


def answered(opened, **options):
    """Return a connection whose agent has answered; on a busy machine it may start too late."""
    for _ in range(10):
        connection = opened(**options)
        with suppress(ConnectionLostError):
            look(connection)
            return connection
    pytest.fail("no agent answered in time")


def large_request(runs, size):
    """Return a request of so many bytes, which the agent answers by one event."""
    return ListOutputs(str(runs), [ListedRun("x" * size, [])])


class Typist:
    """A user who answers prompts with the given texts, and remembers what was asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def __call__(self, text, *, echo):
        self.asked.append((text, echo))
        return self.answers.pop(0)


def write(folder, name, text="x", when=1_700_000_000_123_456_789):
    """Write a file with a known time."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, ns=(when, when))
    return path


def files(folder):
    """List what lies below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def bytes_below(folder):
    """Return the size of all files below a folder, in which another process writes and renames."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += 0 if path.is_dir() else path.stat().st_size
    return total
