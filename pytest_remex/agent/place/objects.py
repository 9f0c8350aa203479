"""Read trees and blobs through one `git cat-file --batch` and one `git diff-tree --stdin`."""

import contextlib
import os
import subprocess
import threading
from typing import IO, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.place import git
from pytest_remex.common.git import DIFF_TREE, read_differences

CHUNK = 1 << 20
"""How many bytes are in memory at a time."""


class TreeEntry(NamedTuple):
    """One file of a tree: git's mode (such as `100644`), the blob's id and the path, in bytes."""

    mode: bytes
    blob: bytes
    path: bytes


class Blobs:
    """Read the clone's objects, each as a stream of chunks; `close` ends the git process."""

    def __init__(self, clone: str) -> None:
        self._clone = clone
        self._process = subprocess.Popen(
            git.command(clone, "cat-file", "--batch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=git.environment(),
            bufsize=1 << 16,
        )
        self._feeders: List[threading.Thread] = []

    def close(self) -> None:
        """End the git process."""
        self._process.kill()
        for feeder in self._feeders:
            feeder.join()
        with contextlib.suppress(OSError):
            self._in.close()
        self._out.close()
        self._process.wait()

    def read(self, names: Sequence[bytes]) -> Iterator[Tuple[int, Iterator[bytes]]]:
        """Return each object's size and chunks, which must be consumed before the next object."""
        # all names are sent ahead: asking for one after the other would cost a wait each
        feeder = threading.Thread(target=self._feed, args=(names,), daemon=True)
        self._feeders.append(feeder)
        feeder.start()
        for name in names:
            _, _, size = self._out.readline().rpartition(b" ")
            if not size.strip().isdigit():
                raise AgentError("git", _lacking(self._clone, os.fsdecode(name)))
            yield int(size), self._chunks(int(size))
        feeder.join()

    def _feed(self, names: Sequence[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._in.write(b"".join(name + b"\n" for name in names))
            self._in.flush()

    def _chunks(self, left: int) -> Iterator[bytes]:
        while left > 0:
            chunk = self._out.read(min(left, CHUNK))
            if not chunk:
                raise AgentError("git", "git cat-file ended early; try again")
            left -= len(chunk)
            yield chunk
        self._out.read(1)

    @property
    def _in(self) -> IO[bytes]:
        assert self._process.stdin is not None  # noqa: S101 - a pipe, as asked for
        return self._process.stdin

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None  # noqa: S101 - a pipe, as asked for
        return self._process.stdout


def _lacking(clone: str, blob: str) -> str:
    """Say that the clone lacks a file: it is damaged, or partial and its origin does not answer."""
    ran = git.run(clone, "cat-file", "-p", blob)  # once more, for git's own words
    words = f" ({' '.join(ran.message().split())})" if ran.err.strip() else ""
    return (
        f"git cannot read the object {blob} in {clone}{words}: clone the repository there again, "
        f"and not with --filter if its origin cannot be reached from there"
    )


def tree(clone: str, sha: str) -> List[TreeEntry]:
    """Return all files of a commit's tree, including links and submodules."""
    listed = os.fsencode(git.ask(clone, "ls-tree", "-rz", "--full-tree", sha))
    return [_entry(row) for row in listed.split(b"\0") if row]


def changes(clone: str, pairs: Iterable[Tuple[str, str]]) -> List[Dict[bytes, TreeEntry]]:
    """Return, for each pair of trees, the entries of the second that differ, by path.

    A path that the second does not have maps to an entry of mode `ABSENT`.
    """
    asked = list(pairs)
    differing = {pair for pair in asked if pair[0] != pair[1]}
    text = "".join(f"{old} {new}\n" for old, new in sorted(differing))
    found: Dict[Tuple[str, str], Dict[bytes, TreeEntry]] = {}
    output = os.fsencode(git.ask(clone, *DIFF_TREE, "--stdin", text=text))
    for pair, each in read_differences(output):
        found.setdefault(pair, {})[each.path] = TreeEntry(each.mode, each.blob, each.path)
    return [found.get(pair, {}) for pair in asked]


def _entry(row: bytes) -> TreeEntry:
    about, _, path = row.partition(b"\t")
    mode, _kind, blob = about.split(b" ")
    return TreeEntry(mode, blob, path)
