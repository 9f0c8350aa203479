"""The ids that git gives files and trees, computed without git and without writing objects.

Format: `git help hash-object`, and gitformat documentation of tree objects: for each entry mode,
space, name, NUL and the raw id; sorted by name, where a folder's name counts as if it ended in `/`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

FOLDER = "40000"
"""The mode of a folder."""


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file of a tree, with git's mode and id in hexadecimal; without an id it was removed."""

    path: bytes
    mode: str = ""
    sha: str = ""


class ObjectHash:
    """Git's object ids in a repository; its hash function follows from the length of any id.

    Args:
        example: An id in that repository: 40 hexadecimal digits for SHA-1, 64 for SHA-256.

    """

    def __init__(self, example: str) -> None:
        self._new = hashlib.sha256 if len(example) == 64 else hashlib.sha1  # noqa: PLR2004 - see above

    def blob(self, content: bytes) -> str:
        """Return the id of a file's bytes, or of a link's target."""
        return self._of(b"blob", content).hex()

    def tree(self, lines: Iterable[bytes]) -> bytes:
        """Return the raw id of a tree object."""
        return self._of(b"tree", b"".join(lines))

    def _of(self, kind: bytes, content: bytes) -> bytes:
        made = self._new(b"%b %d\0" % (kind, len(content)), usedforsecurity=False)
        made.update(content)
        return made.digest()


class Tree:
    """A tree, from which those of changed files are computed folder by folder.

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

        A file takes the place of a folder, and the other way round; empty folders go.
        """
        changes = _nested(entries)
        return (_changed(self._root, changes, self._hash) or self._hash.tree(())).hex()


@dataclass(slots=True)
class _Nested:
    files: dict[bytes, TreeEntry] = field(default_factory=dict)
    folders: dict[bytes, _Nested] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder: the lines of its tree object, in order, by sorting name; and its raw id."""

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
    """Return the raw id of a folder with changes; None where nothing is left in it."""
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
    """Return the sorting names that change, those of what they replace, and the new lines."""
    for name, entry in changes.files.items():
        yield name, name + b"/", _line(entry.mode, name, entry.sha) if entry.sha else None
    for name, below in changes.folders.items():
        sha = _changed(folder.folders.get(name, _EMPTY), below, object_hash)
        yield name + b"/", name, _line(FOLDER, name, sha.hex()) if sha else None


def _line(mode: str, name: bytes, sha: str) -> bytes:
    return mode.lstrip("0").encode() + b" " + name + b"\0" + bytes.fromhex(sha)
