"""An agent as the client has it, a process with pipes, and a repository with experiments in it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_remex.agent import BOOT, bundle
from pytest_remex.common.framing import decode_event, encode_request, whole
from pytest_remex.common.protocol import End, Error

NONCE = "nonce-of-the-tests"


class AgentError(Exception):
    """The agent answered with an error."""

    def __init__(self, error):
        super().__init__(error.message)
        self.kind = error.kind


class Agent:
    """One agent process; `ask` returns the events of a request."""

    def __init__(self, python=sys.executable, manners=None, **variables):
        self._number = 0
        self.process = subprocess.Popen(
            [python, "-u", "-c", BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **variables},
        )
        start = {"nonce": NONCE, "modules": bundle(), **(manners or {})}
        self.write(json.dumps(start).encode() + b"\n")

    def ask(self, request):
        """Send a request and return its events; AgentError for an error."""
        return list(self.events(request))

    def events(self, request):
        """Send a request now, and iterate over its events as they come."""
        self._number += 1
        self.write(encode_request(self._number, request))
        return self._answers(self._number)

    def _answers(self, number):
        for line in self.process.stdout:
            answered, event = event_in(line)
            assert answered in (0, number)
            if isinstance(event, End):
                return
            if isinstance(event, Error):
                raise AgentError(event)
            if answered:
                yield event
        pytest.fail("the agent ended without an answer")

    def write(self, line):
        """Send a line as it is."""
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def close(self):
        """Hang up and wait for the agent's end."""
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def kill(self):
        """End the agent as kill -9 does."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def event_in(line):
    """Return the number and event in a line of the agent's."""
    return decode_event(whole(line.partition(NONCE.encode() + b" ")[2]))


class Repository:
    """A git repository whose commits are made without a work tree's help."""

    def __init__(self, path):
        self.path = path
        subprocess.run(["git", "init", "-q", "-b", "main", str(path)], check=True)
        self.git("config", "user.name", "tester")
        self.git("config", "user.email", "tester@example.org")

    def git(self, *words, data=None):
        """Run git and give its output, stripped."""
        done = subprocess.run(
            ["git", "-C", str(self.path), *words], input=data, check=True, stdout=subprocess.PIPE
        )
        return done.stdout.decode(errors="surrogateescape").strip()

    def commit(self, files, parent=None):
        """Commit exactly these files, {path: bytes or (mode, bytes)}, and give the run to place."""
        rows = []
        for path, content in files.items():
            mode, data = content if isinstance(content, tuple) else ("100644", content)
            blob = self.git("hash-object", "-w", "--stdin", data=data)
            rows.append(f"{mode} {blob}\t".encode() + os.fsencode(path) + b"\0")
        index = {**os.environ, "GIT_INDEX_FILE": str(self.path / ".git" / "test-index")}
        Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)
        subprocess.run(
            ["git", "-C", str(self.path), "update-index", "-z", "--index-info"],
            input=b"".join(rows), env=index, check=True,
        )  # fmt: skip
        written = subprocess.run(
            ["git", "-C", str(self.path), "write-tree"],
            env=index, check=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        tree = written.stdout.decode().strip()
        parents = ["-p", parent] if parent else []
        sha = self.git("commit-tree", tree, *parents, "-m", "test")
        self.git("update-ref", f"refs/tests/{sha}", sha)
        return {"sha": sha, "parent": parent or sha, "tree": tree, "meta": {"id": "sweep::a"}}


def until(condition, seconds=20):
    """Wait for a condition and give what made it true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    return pytest.fail(f"nothing within {seconds} s")


def has_ended(pid):
    """Return whether a process has ended, even if its parent, often init, has not noticed yet."""
    try:
        about = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return about.rpartition(b")")[2].split()[0] in (b"Z", b"X")
