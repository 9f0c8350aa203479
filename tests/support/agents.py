"""An agent as the client has it, a process with pipes, and a repository with experiments in it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TypedDict

import pytest

from pytest_remex.agent import BOOT, bundle
from pytest_remex.common.framing import decode_event, encode_request, whole
from pytest_remex.common.protocol import End, Error, Event, Request

NONCE = "nonce-of-the-tests"


class AgentError(Exception):
    """The agent answered with an error."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.message)
        self.kind = error.kind


class Agent:
    """One agent process; `ask` returns the events of a request."""

    def __init__(
        self,
        python: str = sys.executable,
        manners: Mapping[str, object] | None = None,
        modules: str = "",
        **variables: str,
    ) -> None:
        self._number = 0
        self.process = subprocess.Popen(
            [python, "-u", "-c", BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **variables},
        )
        self._requests, self._answers = _pipes(self.process)
        start = {"nonce": NONCE, "modules": modules or bundle(), **(manners or {})}
        self.write(json.dumps(start).encode() + b"\n")

    def ask(self, request: Request) -> list[Event]:
        """Send a request and return its events; AgentError for an error."""
        return list(self.events(request))

    def events(self, request: Request) -> Iterator[Event]:
        """Send a request now, and iterate over its events as they come."""
        self._number += 1
        self.write(encode_request(self._number, request))
        return self._events(self._number)

    def _events(self, number: int) -> Iterator[Event]:
        for line in self._answers:
            answered, event = event_in(line)
            assert answered in (0, number)
            if isinstance(event, End):
                return
            if isinstance(event, Error):
                raise AgentError(event)
            if answered:
                yield event
        pytest.fail("the agent ended without an answer")

    def write(self, line: bytes) -> None:
        """Send a line as it is."""
        self._requests.write(line)
        self._requests.flush()

    def close(self) -> None:
        """Hang up and wait for the agent's end."""
        self._requests.close()
        self.process.wait(timeout=30)
        self._answers.close()

    def kill(self) -> None:
        """End the agent as kill -9 does."""
        self.process.kill()
        self.process.wait()
        self._requests.close()
        self._answers.close()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def event_in(line: bytes) -> tuple[int, Event]:
    """Return the number and event in a line of the agent's."""
    return decode_event(whole(line.partition(NONCE.encode() + b" ")[2]))


class PlacedCommit(TypedDict):
    """A commit, as the fields of a run that is to be placed."""

    sha: str
    parent: str
    tree: str
    meta: dict[str, str]


class Repository:
    """A git repository whose commits are made without a work tree's help."""

    def __init__(self, path: Path) -> None:
        self.path = path
        subprocess.run(["git", "init", "-q", "-b", "main", str(path)], check=True)
        self.git("config", "user.name", "tester")
        self.git("config", "user.email", "tester@example.org")

    def git(self, *words: str, data: bytes | None = None) -> str:
        """Run git and return its output, stripped."""
        done = subprocess.run(
            ["git", "-C", str(self.path), *words], input=data, check=True, stdout=subprocess.PIPE
        )
        return done.stdout.decode(errors="surrogateescape").strip()

    def commit(
        self,
        files: Mapping[str, bytes | tuple[str, bytes]],
        parent: str | None = None,
    ) -> PlacedCommit:
        """Commit exactly these files, {path: bytes or (mode, bytes)}; return the run to place."""
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


def has_ended(pid: int | str) -> bool:
    """Return whether a process has ended, even if its parent, often init, has not noticed yet."""
    try:
        about = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return about.rpartition(b")")[2].split()[0] in (b"Z", b"X")
