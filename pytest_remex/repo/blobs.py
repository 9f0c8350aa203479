"""Read the files of commits as git stores them, without filters: one process reads many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from pytest_remex.errors import RepositoryError
from pytest_remex.io import AGAIN
from pytest_remex.known_files import create_file
from pytest_remex.repo.git import Git

CACHED_SIZE = 1 << 20
"""Files of up to this many bytes are cached when read: patches edit the same few files."""
CACHED_FILES = 32
"""The most files in the cache."""
CHUNK = 1 << 20


class Blob(NamedTuple):
    """A file of a commit: git's mode and sha, and the size in bytes (0 for a submodule)."""

    mode: str
    sha: str
    size: int


class Blobs:
    """Read the files of a repository's commits."""

    def __init__(self, repository: Git) -> None:
        self._process = repository.stream("cat-file", "--batch")
        self._cache: dict[str, bytes] = {}

    def read(self, blob: Blob) -> bytes:
        """Return a file's bytes."""
        if blob.sha in self._cache:
            return self._cache[blob.sha]
        content = b"".join(self._chunks(blob.sha))
        if blob.size <= CACHED_SIZE:
            self._remember(blob.sha, content)
        return content

    def copy(self, blob: Blob, target: bytes) -> None:
        """Write a file's bytes to a new file; large files in chunks."""
        if blob.size <= CACHED_SIZE:
            create_file(target, self.read(blob))
            return
        with open(target, "xb") as file:  # noqa: PTH123 - paths are bytes, as git's are
            file.writelines(self._chunks(blob.sha))

    def close(self) -> None:
        """Stop git's process."""
        self._process.end()

    def _remember(self, sha: str, content: bytes) -> None:
        if len(self._cache) == CACHED_FILES:
            del self._cache[next(iter(self._cache))]
        self._cache[sha] = content

    def _chunks(self, sha: str) -> Iterator[bytes]:
        self._process.stdin.write(sha.encode() + b"\n")
        self._process.stdin.flush()
        header = self._process.stdout.readline().split()
        if len(header) != 3:  # noqa: PLR2004 - sha, type and size; else `<sha> missing`, or the end
            raise RepositoryError(f"git cat-file could not read the file {sha}: run `git fsck`")
        left = int(header[2])
        while left:
            chunk = self._process.stdout.read(min(left, CHUNK))
            if not chunk:
                raise RepositoryError(f"git cat-file ended while the file {sha} was read: {AGAIN}")
            left -= len(chunk)
            yield chunk
        self._process.stdout.read(1)


def listing(repository: Git, commit: str) -> Iterator[tuple[bytes, Blob]]:
    """Return a commit's files by path. Raises `RepositoryError` if git cannot read all of them."""
    process = repository.stream("ls-tree", "-r", "-l", "-z", "--full-tree", commit)
    process.stdin.close()
    output = process.stdout.read()
    code, errors = process.end()
    where = f"{commit[:12]} in {repository.top}"
    if code:
        fix = "run `git fsck`"
        if "promisor" in errors:
            fix = "it is a partial clone, which fetches them from its origin: make that reachable"
        raise RepositoryError(f"git cannot list the files of {where} ({errors}): {fix}")
    for line in output.split(b"\0"):
        if line:
            facts, _, path = line.partition(b"\t")
            mode, _, sha, size = facts.decode().split()
            if size == "BAD":  # the file is damaged or missing
                name = os.fsdecode(path)
                raise RepositoryError(f"git cannot read {name} of {where}: run `git fsck`")
            yield path, Blob(mode, sha, 0 if size == "-" else int(size))
