"""Git's trees and files: read those of commits, and compute the ids of others without git.

Format: `git help hash-object`, and git's documentation of tree objects: for each entry mode, space,
name, NUL and the raw id; sorted by name, with `/` appended to the names of folders. No object is
written. Files are read as git stores them, without filters.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pytest_remex.common.git import (
    ABSENT,
    DIFF_TREE,
    TreeDifference,
    read_differences,
)
from pytest_remex.common.grouping import grouped
from pytest_remex.errors import RepositoryError
from pytest_remex.io import AGAIN
from pytest_remex.known_files import create_file
from pytest_remex.model import Commit
from pytest_remex.repo.git import Git

FOLDER = "40000"
"""The mode of a folder."""
LINK = "120000"
"""The mode of a symbolic link."""
SUBMODULE = "160000"
"""The mode of a submodule."""
EXECUTABLE = "100755"
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


class Edit(NamedTuple):
    """A patch's change to one file; without content the file was removed."""

    path: bytes
    mode: str = ""
    content: bytes | None = None


class TreeEntry(NamedTuple):
    """A file of a tree, with git's mode and hexadecimal id; without an id it was removed."""

    path: bytes
    mode: str = ""
    sha: str = ""


class ObjectHash:
    """Compute git's object ids; the length of an id tells a repository's hash function.

    Args:
        example: An id in that repository: 40 hexadecimal digits for SHA-1, 64 for SHA-256.

    """

    def __init__(self, example: str) -> None:
        self._new = hashlib.sha256 if len(example) == 64 else hashlib.sha1  # noqa: PLR2004 - see above

    def blob(self, content: bytes) -> str:
        """Return the id of a file's bytes, or of a link's target."""
        return self._of(b"blob", content).hex()

    def commit(self, content: bytes) -> str:
        """Return the id of a commit object."""
        return self._of(b"commit", content).hex()

    def tree(self, lines: Iterable[bytes]) -> bytes:
        """Return the raw id of a tree object."""
        return self._of(b"tree", b"".join(lines))

    def _of(self, kind: bytes, content: bytes) -> bytes:
        made = self._new(b"%b %d\0" % (kind, len(content)), usedforsecurity=False)
        made.update(content)
        return made.digest()


class Tree:
    """A tree; the ids of changed versions of it are computed folder by folder.

    Example:
        >>> base = Tree([TreeEntry(b"src/a", "100644", 40 * "1")], ObjectHash(40 * "0"))
        >>> base.changed([TreeEntry(b"src/a")])  # removed, and the folder with it
        '4b825dc642cb6eb9a060e54bf8d69288fbee4904'

    """

    def __init__(self, entries: Iterable[TreeEntry], object_hash: ObjectHash) -> None:
        self._hash = object_hash
        self._root = _folder(_nested(entries), object_hash)

    @property
    def sha(self) -> str:
        """The tree's id."""
        return self._root.sha.hex()

    def changed(self, entries: Iterable[TreeEntry]) -> str:
        """Return the id of the tree with these files added, replaced or removed.

        A file can replace a folder, and vice versa; empty folders disappear.
        """
        changes = _nested(entries)
        return (_changed(self._root, changes, self._hash) or self._hash.tree(())).hex()


@dataclass(slots=True)
class _Nested:
    files: dict[bytes, TreeEntry] = field(default_factory=dict)
    folders: dict[bytes, _Nested] = field(default_factory=dict)


class _Folder(NamedTuple):
    """A folder: the ordered lines of its tree object, by sort key; and its raw id."""

    lines: Mapping[bytes, bytes]
    folders: Mapping[bytes, _Folder]
    sha: bytes


_EMPTY = _Folder({}, {}, b"")


def _nested(entries: Iterable[TreeEntry]) -> _Nested:
    root = _Nested()
    for entry in entries:
        *folders, name = entry.path.split(b"/")
        place = root
        for folder in folders:
            if folder not in place.folders:
                place.folders[folder] = _Nested()
            place = place.folders[folder]
        place.files[name] = entry
    return root


def _folder(nested: _Nested, object_hash: ObjectHash) -> _Folder:
    folders = {name: _folder(below, object_hash) for name, below in nested.folders.items()}
    lines = {name: _line(entry.mode, name, entry.sha) for name, entry in nested.files.items()}
    for name, folder in folders.items():
        lines[name + b"/"] = _line(FOLDER, name, folder.sha.hex())
    ordered = dict(sorted(lines.items()))
    return _Folder(ordered, folders, object_hash.tree(ordered.values()))


def _changed(folder: _Folder, changes: _Nested, object_hash: ObjectHash) -> bytes | None:
    """Return the raw id of a folder after changes; None if nothing is left in it."""
    lines = dict(folder.lines)
    in_order = True
    for name, twin, line in _changed_lines(folder, changes, object_hash):
        if line is None:
            lines.pop(name, None)
            continue
        in_order = in_order and name in lines
        lines[name] = line
        lines.pop(twin, None)
    if not lines:
        return None
    return object_hash.tree(lines.values() if in_order else [lines[name] for name in sorted(lines)])


def _changed_lines(
    folder: _Folder, changes: _Nested, object_hash: ObjectHash
) -> Iterator[tuple[bytes, bytes, bytes | None]]:
    """Yield for each change its sort key, the sort key that it replaces, and the new line."""
    for name, entry in changes.files.items():
        yield name, name + b"/", _line(entry.mode, name, entry.sha) if entry.sha else None
    for name, below in changes.folders.items():
        sha = _changed(folder.folders.get(name, _EMPTY), below, object_hash)
        yield name + b"/", name, _line(FOLDER, name, sha.hex()) if sha else None


def _line(mode: str, name: bytes, sha: str) -> bytes:
    return mode.lstrip("0").encode() + b" " + name + b"\0" + bytes.fromhex(sha)


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


def patches_of(
    repository: Git, base: str, commits: Sequence[Commit], script: bytes
) -> dict[str, list[Edit | TreeEntry]]:
    """Return what commits on a base changed, by sha, omitting those the repository lacks.

    Args:
        repository: The repository, which has the base.
        base: The sha of the base commit.
        commits: The commits.
        script: The path of the script, whose bytes are read; of other files only the ids.

    Raises:
        RepositoryError: Git cannot read them.

    """
    base_tree = repository.run("rev-parse", f"{base}^{{tree}}").strip()
    here = _present(repository, {commit.tree for commit in commits})
    pairs = sorted(tree for tree in here if tree != base_tree)
    differences = _differences(repository, base_tree, pairs)
    scripts: dict[str, bytes] = {}
    changes: Mapping[str, list[Edit | TreeEntry]] = {
        tree: [_change(repository, entry, script, scripts) for entry in entries]
        for tree, entries in differences.items()
    }
    return {each.sha: changes.get(each.tree, []) for each in commits if each.tree in here}


def blobs_at(repository: Git, places: Sequence[tuple[str, str]]) -> list[str]:
    """Return the id of the blob at each commit and path; empty if there is none.

    Raises:
        RepositoryError: Git cannot read them.

    """
    asked = "".join(f"{sha}:{path}\n" for sha, path in places)
    output = repository.ask("cat-file", "--batch-check", text=os.fsencode(asked))
    rows = [line.split() for line in output.splitlines()]
    return [row[0].decode() if row[1:2] == [b"blob"] else "" for row in rows]


def _present(repository: Git, trees: Iterable[str]) -> set[str]:
    asked = "".join(f"{tree}\n" for tree in sorted(trees)).encode()
    output = repository.ask("cat-file", "--batch-check", text=asked)
    rows = (line.split() for line in output.decode().splitlines())
    return {row[0] for row in rows if row[1:2] == ["tree"]}


def _differences(
    repository: Git, base_tree: str, trees: Sequence[str]
) -> dict[str, list[TreeEntry]]:
    asked = "".join(f"{base_tree} {tree}\n" for tree in trees).encode()
    output = repository.ask(*DIFF_TREE, "--stdin", text=asked)
    return grouped((new, _entry(each)) for (_, new), each in read_differences(output))


def _entry(changed: TreeDifference) -> TreeEntry:
    if changed.mode == ABSENT:
        return TreeEntry(changed.path)
    return TreeEntry(changed.path, changed.mode.decode(), changed.blob.decode())


def _change(
    repository: Git, entry: TreeEntry, script: bytes, scripts: dict[str, bytes]
) -> Edit | TreeEntry:
    if entry.path != script or not entry.sha or entry.mode == LINK:
        return entry
    if entry.sha not in scripts:
        scripts[entry.sha] = repository.ask("cat-file", "blob", entry.sha)
    return Edit(entry.path, entry.mode, scripts[entry.sha])
