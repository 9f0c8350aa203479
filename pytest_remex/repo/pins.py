"""What a patch changed in a checkout, found in milliseconds.

Every file and folder gets one fixed, odd modification time, so that any edit shows in its stat.
A patch may put a link where a folder was: folders are looked at before what is in them, and behind
a link nothing is looked at.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pytest_remex.repo.files import Signature, below, folder_signature, scan, signature, within
from pytest_remex.repo.worktree import POINTER

PINNED = 1_000_000_007_123_456_789
"""The modification time (ns) of every unchanged file: nothing else writes that one."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from what was pinned: files, new files, folders, and lost folders.

    A lost folder was removed, or something else is in its place. What was in it counts as changed;
    none of it is in `folders` or `lost_folders`.
    """

    changed: list[bytes]
    added: list[bytes]
    folders: list[bytes]
    lost_folders: list[bytes]

    @property
    def unreachable(self) -> frozenset[bytes]:
        """The files whose folder is lost: at their path may be what a link leads to."""
        return frozenset(within(self.lost_folders, self.changed))


class Pins:
    """The files and folders of a checkout at `root`, as they were written; parents come first."""

    def __init__(self, root: bytes, files: Collection[bytes], folders: Collection[bytes]) -> None:
        self._root = root
        self._known_files = files
        self._known_folders = frozenset(folders)
        self._files: dict[bytes, tuple[bytes, Signature]] = {}
        self._folders: dict[bytes, tuple[bytes, Signature]] = {}

    def full(self, path: bytes) -> bytes:
        """Return where a path of the checkout is."""
        return os.path.join(self._root, path) if path else self._root

    def pin(self, path: bytes) -> None:
        """Set a file's or folder's time to that of what is unchanged, and remember its state."""
        full = self.full(path)
        os.utime(full, ns=(PINNED, PINNED), follow_symlinks=False)
        if path in self._known_folders:
            self._folders[path] = full, folder_signature(full)
        else:
            self._files[path] = full, signature(full)

    def mode(self, folder: bytes) -> int:
        """Return the permissions that a folder was pinned with."""
        return stat.S_IMODE(self._folders[folder][1][0])

    def changes(self) -> Changes:
        """Return what differs from what was pinned."""
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
        """Return what is in a folder and is not of the base."""
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
