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

PINNED = 1_000_000_007_123_456_789
"""The modification time (ns) of every untouched file: nothing else writes that one."""
GIT = b".git"


@dataclass(frozen=True, slots=True)
class Found:
    """What is not as it was laid: files, new files, folders, and folders that are none any more.

    What is in a lost folder counts as touched, and as gone; none of it is in `folders` or `lost`.
    """

    touched: list[bytes]
    added: list[bytes]
    folders: list[bytes]
    lost: list[bytes]

    @property
    def gone(self) -> frozenset[bytes]:
        """The files whose folder is lost: at their path may be what a link leads to."""
        return frozenset(within(self.lost, self.touched))


class Pins:
    """The files and folders of a checkout at `root`, as they were laid; parents come first."""

    def __init__(self, root: bytes, files: Collection[bytes], folders: Collection[bytes]) -> None:
        self._root = root
        self._names = files
        self._known = frozenset(folders)
        self._files: dict[bytes, tuple[bytes, Signature]] = {}
        self._folders: dict[bytes, tuple[bytes, Signature]] = {}

    def full(self, path: bytes) -> bytes:
        """Return where a path of the checkout is."""
        return os.path.join(self._root, path) if path else self._root

    def pin(self, path: bytes) -> None:
        """Give a file or folder the time of what is untouched, and remember it."""
        full = self.full(path)
        os.utime(full, ns=(PINNED, PINNED), follow_symlinks=False)
        if path in self._known:
            self._folders[path] = full, folder_signature(full)
        else:
            self._files[path] = full, signature(full)

    def mode(self, folder: bytes) -> int:
        """Return the permissions that a folder was laid with."""
        return stat.S_IMODE(self._folders[folder][1][0])

    def find(self) -> Found:
        """Return what is not as it was laid."""
        folders, lost = self._changed_folders()
        gone = frozenset(within(lost, self._files)) if lost else frozenset()
        touched = [
            path
            for path, (full, was) in self._files.items()
            if path in gone or signature(full) != was
        ]
        added = dict.fromkeys(new for folder in folders for new in self._strangers(folder))
        added |= dict.fromkeys(path for path in lost if path and os.path.lexists(self.full(path)))
        return Found(touched, list(added), folders, lost)

    def unknown(self, folder: bytes) -> Iterator[os.DirEntry[bytes]]:
        """Return what is in a folder and was not laid there."""
        for entry in scan(self.full(folder)):
            path = os.path.join(folder, entry.name) if folder else entry.name
            known = self._known if entry.is_dir(follow_symlinks=False) else self._names
            if path != GIT and path not in known:
                yield entry

    def _changed_folders(self) -> tuple[list[bytes], list[bytes]]:
        changed: list[bytes] = []
        lost: list[bytes] = []
        for path, (full, was) in self._folders.items():
            if lost and any(within(lost, [path])):
                continue
            now = folder_signature(full)
            if now != was:
                (changed if stat.S_ISDIR(now[0]) else lost).append(path)
        return changed, lost

    def _strangers(self, folder: bytes) -> Iterator[bytes]:
        for entry in self.unknown(folder):
            path = os.path.relpath(entry.path, self._root)
            if entry.is_dir(follow_symlinks=False):
                yield from below(self._root, path)
            else:
                yield path
