"""List, read and remove files without following links; find out where links lead.

Paths are bytes, as in git. No access of ours may leave a checkout through a link.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from pytest_remex.common.files import is_too_deep, open_regular, remove_tree
from pytest_remex.known_files import read_whole

Signature: TypeAlias = tuple[int, int, int, int, int]
"""Mode, size, modification and change time (ns), and inode."""
LinkTarget: TypeAlias = Callable[[bytes], bytes | None]
"""Returns the target of the link at a path; None if there is no link."""

MOST_LINKS = 40
"""The most links that Linux follows in one path; beyond that it fails with ELOOP."""


def folders(files: Iterable[bytes]) -> set[bytes]:
    """Return the folders that contain the files, including the root."""
    found = {b""}
    for path in files:
        while (path := os.path.dirname(path)) not in found:
            found.add(path)
    return found


def below(root: bytes, folder: bytes) -> Iterator[bytes]:
    """Return the files below a folder of `root`, and the folders that are too deep to look into."""
    todo = [folder]
    while todo:
        folder = todo.pop()
        for entry in scan(os.path.join(root, folder)):
            path = os.path.join(folder, entry.name)
            if entry.is_dir(follow_symlinks=False) and not is_too_deep(path):
                todo.append(path)
            else:
                yield path


def signature(path: bytes) -> Signature:
    """Return the stat values that any edit of a file changes; zeros if it does not exist."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return (0, 0, 0, 0, 0)
    return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def folder_signature(path: bytes) -> Signature:
    """Return the stat values that any edit in a folder changes; zeros if it does not exist."""
    mode, _, mtime, _, inode = signature(path)
    return mode, 0, mtime, 0, inode


def within(folders: Iterable[bytes], paths: Iterable[bytes]) -> Iterator[bytes]:
    """Return the paths that are one of these folders, or below one."""
    above = tuple(folder + b"/" if folder else b"" for folder in folders)
    return (path for path in paths if (path + b"/").startswith(above))


def read(path: bytes) -> bytes | None:
    """Return a regular file's bytes; None for any other kind of file.

    Raises `OSError` if it cannot be opened, or is a link.
    """
    descriptor = open_regular(path)
    if descriptor is None:
        return None
    return read_whole(descriptor)


def scan(folder: bytes) -> Iterable[os.DirEntry[bytes]]:
    """List a folder; empty if it does not exist."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove(path: bytes) -> None:
    """Remove a file or a folder, if it exists."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (IsADirectoryError, PermissionError):  # which of them depends on the system
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise
        remove_tree(path)


def follow(path: bytes, target_of: LinkTarget) -> bytes | None:
    """Resolve a path's links, relative to the checkout's root; None if it leads out of it.

    If the links form a loop, return the path itself.
    """
    todo = path.split(b"/")[::-1]
    place: list[bytes] = []
    followed = 0
    while todo:
        part = todo.pop()
        if part == b"..":
            if not place:
                return None
            place.pop()
        elif part not in {b"", b"."}:
            place.append(part)
            target = target_of(b"/".join(place))
            if target is not None:
                if target.startswith(b"/"):
                    return None
                followed += 1
                if followed > MOST_LINKS:
                    return path
                place.pop()
                todo += target.split(b"/")[::-1]
    return b"/".join(place)


def leaving(links: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return the links of a checkout that lead out of it."""
    return {path: to for path, to in links.items() if follow(path, links.get) is None}


def link_targets_in(root: bytes) -> LinkTarget:
    """Return a function that reads the links below a folder."""

    def target_of(path: bytes) -> bytes | None:
        try:
            return os.readlink(os.path.join(root, path))
        except OSError:
            return None

    return target_of
