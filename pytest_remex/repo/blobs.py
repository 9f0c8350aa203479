"""The files of a commit as git has them, without filters, through one `git cat-file --batch`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_remex.repo.git import Git

SMALL = 1 << 20
"""Bytes up to which a file stays in memory once it was read: patches edit the same few files."""
KEPT = 32
"""Files that stay in memory, the latest ones."""
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of a commit, by git's mode and sha; its size in bytes."""

    mode: str
    sha: str
    size: int


class Blobs:
    """Reads the files of a repository's commits."""

    def __init__(self, repository: Git) -> None:
        self._process = repository.stream("cat-file", "--batch")
        self._kept: dict[str, bytes] = {}

    def read(self, blob: Blob) -> bytes:
        """Give a file's bytes."""
        if blob.sha in self._kept:
            return self._kept[blob.sha]
        content = b"".join(self._parts(blob.sha))
        if blob.size <= SMALL:
            self._keep(blob.sha, content)
        return content

    def copy(self, blob: Blob, target: bytes) -> None:
        """Write a file's bytes to a new file, a large one in parts."""
        with open(target, "xb") as file:  # noqa: PTH123 - paths are bytes, as git's are
            if blob.size <= SMALL:
                file.write(self.read(blob))
            else:
                file.writelines(self._parts(blob.sha))

    def close(self) -> None:
        """End git's process."""
        self._process.end()

    def _keep(self, sha: str, content: bytes) -> None:
        if len(self._kept) == KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[sha] = content

    def _parts(self, sha: str) -> Iterator[bytes]:
        self._process.stdin.write(sha.encode() + b"\n")
        self._process.stdin.flush()
        left = int(self._process.stdout.readline().split()[2])
        while left:
            part = self._process.stdout.read(min(left, CHUNK))
            left -= len(part)
            yield part
        self._process.stdout.read(1)


def listing(repository: Git, commit: str) -> Iterator[tuple[bytes, Blob]]:
    """List a commit's files by path."""
    process = repository.stream("ls-tree", "-r", "-l", "-z", "--full-tree", commit)
    process.stdin.close()
    for line in process.stdout.read().split(b"\0"):
        if line:
            facts, _, path = line.partition(b"\t")
            mode, _, sha, size = facts.decode().split()
            yield path, Blob(mode, sha, int(size))
    process.end()
