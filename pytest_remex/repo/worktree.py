"""The git repository around the scratch checkout, and how a patch's edits are found.

A patch may run git in the checkout: stage, commit, switch branches, or be killed and leave a lock.
So the repository's HEAD, index and other files are reset as the checkout's files are.

Every file and folder gets one fixed, odd modification time, so that any edit shows in its stat,
within milliseconds. A patch may replace a folder by a link: folders are checked before their
contents, and nothing behind a link is read.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from pytest_remex import temporary
from pytest_remex.errors import SweepError
from pytest_remex.repo.files import (
    Signature,
    below,
    folder_signature,
    remove,
    scan,
    signature,
    within,
)
from pytest_remex.repo.git import Git

PINNED = 1_000_000_007_123_456_789
"""The modification time (ns) of every unchanged file; nothing else sets this one."""

POINTER = b".git"
"""The file in the checkout by which git finds the repository."""


class Worktree:
    """A checkout at `base` with only git's own files in it; `home` is the folder around it.

    It has its own repository, which borrows the objects of the user's. So a branch, a stash or a
    commit that a patch makes does not get into the user's repository, which does not know about the
    checkout. It starts with the user's refs and configuration.
    """

    def __init__(self, repository: Git, base: str) -> None:
        temporary.remove_abandoned()
        self.home = Path(tempfile.mkdtemp(prefix=temporary.prefix("scratch")))
        self.path = self.home / f"remex-scratch-{self.home.name[-8:]}"
        self.path.mkdir()
        folder = self.home / "git"
        _make_repository(folder, self.path, repository, base)
        pointer = self.path / os.fsdecode(POINTER)
        pointer.write_bytes(b"gitdir: " + os.fsencode(folder) + b"\n")
        repository.ask("read-tree", base, options=("-C", str(self.path)))
        self._home_identity = self._identify_home()
        self._pointer = _SavedFile(os.fsencode(pointer))
        self._folder = _SavedFolder(os.fsencode(folder))

    def restore(self) -> None:
        """Restore HEAD, the index and git's other files."""
        self._pointer.restore()
        self._folder.restore()

    def refuse_lost_home(self) -> None:
        """Raise `SweepError` if a patch removed or replaced the folder around the checkout."""
        if self._identify_home() != self._home_identity:
            raise SweepError(
                f"the patch removed or replaced {self.home}, the folder that the checkout is in: "
                f"change only files in experiment.path"
            )

    def remove(self) -> None:
        """Remove the checkout and its repository."""
        temporary.remove(self.home)

    def _identify_home(self) -> tuple[int, int]:
        mode, *_, inode = folder_signature(os.fsencode(self.home))
        return mode, inode


def _make_repository(folder: Path, checkout: Path, repository: Git, base: str) -> None:
    """Make a repository at `base` that borrows another's objects, refs and configuration."""
    for name in ("objects/info", "refs"):
        (folder / name).mkdir(parents=True)
    lent = os.fsencode(repository.folder / "objects")
    (folder / "objects/info/alternates").write_bytes(_in_quotes(lent) + b"\n")
    refs = repository.run("for-each-ref", "--format=%(objectname) %(refname)")
    kept = [line for line in refs.splitlines() if " refs/remex" not in line]
    (folder / "packed-refs").write_bytes(os.fsencode("".join(f"{line}\n" for line in kept)))
    (folder / "HEAD").write_text(f"{base}\n", "ascii")
    sha256 = len(base) == 64  # noqa: PLR2004 - hexadecimal digits
    settings = [
        b"[include]\n\tpath = " + _in_quotes(os.fsencode(repository.folder / "config")),
        b"[core]\n\trepositoryformatversion = %d" % sha256,
        b"\tbare = false\n\tworktree = " + _in_quotes(os.fsencode(checkout)),
        b"\tsparseCheckout = false\n\tfsmonitor = false\n\thooksPath = /dev/null",
        b"[extensions]\n\tobjectFormat = sha256" if sha256 else b"",
    ]
    (folder / "config").write_bytes(b"\n".join(settings) + b"\n")


def _in_quotes(path: bytes) -> bytes:
    """Quote a path for git's configuration and its list of alternates."""
    for special, written in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\t", b"\\t")):
        path = path.replace(special, written)
    return b'"' + path + b'"'


class _SavedFile:
    """A file's bytes, to restore it if it was changed."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._content = Path(os.fsdecode(path)).read_bytes()
        self._signature: Signature = signature(path)

    def restore(self) -> None:
        if signature(self._path) != self._signature:
            remove(self._path)
            Path(os.fsdecode(self._path)).write_bytes(self._content)
            self._signature = signature(self._path)


class _SavedFolder:
    """A folder's files, to restore those that were changed and remove new ones."""

    def __init__(self, root: bytes) -> None:
        self._files = {path: _SavedFile(root + b"/" + path) for path in below(root, b"")}
        self._full = {each: os.path.join(root, each) for each in _folders_below(root, b"")}
        self._folders = {each: _pinned(self._full[each]) for each in sorted(self._full)}

    def restore(self) -> None:
        changed = [
            folder
            for folder, pinned in self._folders.items()
            if folder_signature(self._full[folder]) != pinned
        ]
        for folder in changed:
            full = self._full[folder]
            if not stat.S_ISDIR(signature(full)[0]):
                remove(full)
                os.makedirs(full)
            self._remove_new(folder)
        for file in self._files.values():
            file.restore()
        for folder in changed:
            self._folders[folder] = _pinned(self._full[folder])

    def _remove_new(self, folder: bytes) -> None:
        for entry in scan(self._full[folder]):
            path = os.path.join(folder, entry.name)
            if path not in self._files and path not in self._folders:
                remove(entry.path)


def _above(path: bytes) -> Iterator[bytes]:
    """Yield the folders above a file, without the root."""
    while path := os.path.dirname(path):
        yield path


def _pinned(folder: bytes) -> Signature:
    """Set a folder's time to the fixed one, which any change in the folder replaces."""
    os.utime(folder, ns=(PINNED, PINNED))
    return folder_signature(folder)


def _folders_below(root: bytes, folder: bytes) -> list[bytes]:
    found = [folder]
    for entry in scan(os.path.join(root, folder)):
        if entry.is_dir(follow_symlinks=False):
            found += _folders_below(root, os.path.join(folder, entry.name))
    return found


class Changes(NamedTuple):
    """The differences from the pinned state: changed and new files, changed and lost folders.

    A lost folder was removed or replaced by something else. The files below it count as changed;
    the folders below it are in neither `folders` nor `lost_folders`.
    """

    changed: list[bytes]
    added: list[bytes]
    folders: list[bytes]
    lost_folders: list[bytes]

    @property
    def unreachable(self) -> frozenset[bytes]:
        """The files below lost folders: a link may now lead to something else at their paths."""
        return frozenset(within(self.lost_folders, self.changed))


class Pins:
    """The pinned state of the files and folders of a checkout at `root`; parents come first."""

    def __init__(self, root: bytes, files: Collection[bytes], folders: Collection[bytes]) -> None:
        self._root = root
        self._known_files = files
        self._known_folders = frozenset(folders)
        self._files: dict[bytes, tuple[bytes, Signature]] = {}
        self._folders: dict[bytes, tuple[bytes, Signature]] = {}

    def full(self, path: bytes) -> bytes:
        """Return the absolute path of a path in the checkout."""
        known = self._files.get(path) or self._folders.get(path)
        if known is not None:
            return known[0]
        return os.path.join(self._root, path) if path else self._root

    def pin(self, path: bytes) -> None:
        """Set a file or folder's modification time to the fixed one, and remember its state."""
        full = self.full(path)
        os.utime(full, ns=(PINNED, PINNED), follow_symlinks=False)
        if path in self._known_folders:
            self._folders[path] = full, folder_signature(full)
        else:
            self._files[path] = full, signature(full)

    def mode(self, folder: bytes) -> int:
        """Return the permissions that a folder had when it was pinned."""
        return stat.S_IMODE(self._folders[folder][1][0])

    def is_unchanged(self, path: bytes) -> bool:
        """Return whether a file is as it was pinned, and in the folder where it was."""
        full, pinned = self._files[path]
        return signature(full) == pinned and all(map(self._is_folder, _above(path)))

    def is_edited(self, folder: bytes) -> bool:
        """Return whether anything was added to a folder, or removed, since it was pinned."""
        full, pinned = self._folders[folder]
        return folder_signature(full) != pinned

    def _is_folder(self, path: bytes) -> bool:
        return stat.S_ISDIR(signature(self.full(path))[0])

    def changes(self) -> Changes:
        """Return the differences from the pinned state."""
        folders, lost = self._changed_folders()
        unreachable = frozenset(within(lost, self._files)) if lost else frozenset()
        changed = [
            path
            for path, (full, pinned) in self._files.items()
            if path in unreachable or signature(full) != pinned
        ]
        added = dict.fromkeys(new for folder in folders for new in self._untracked_files(folder))
        added |= dict.fromkeys(path for path in lost if path and os.path.lexists(self.full(path)))
        return Changes(changed, list(added), folders, lost)

    def untracked(self, folder: bytes) -> Iterator[os.DirEntry[bytes]]:
        """Return the entries of a folder that are not in the base."""
        for entry in scan(self.full(folder)):
            path = os.path.join(folder, entry.name) if folder else entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            known = self._known_folders if is_folder else self._known_files
            if path != POINTER and path not in known:
                yield entry

    def _changed_folders(self) -> tuple[list[bytes], list[bytes]]:
        changed: list[bytes] = []
        lost: list[bytes] = []
        for path, (full, pinned) in self._folders.items():
            if lost and any(within(lost, [path])):
                continue
            now = folder_signature(full)
            if now != pinned:
                (changed if stat.S_ISDIR(now[0]) else lost).append(path)
        return changed, lost

    def _untracked_files(self, folder: bytes) -> Iterator[bytes]:
        for entry in self.untracked(folder):
            path = os.path.relpath(entry.path, self._root)
            if entry.is_dir(follow_symlinks=False):
                yield from below(self._root, path)
            else:
                yield path
