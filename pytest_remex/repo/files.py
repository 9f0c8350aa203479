"""Files by their bytes paths, seen without following links; and where links lead.

Paths are bytes, as git's are. Nothing of ours may leave a checkout through a link.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from pytest_remex.common.deep import is_too_deep, remove_tree

Signature: TypeAlias = tuple[int, int, int, int, int]
"""Mode, size, modification and change time (ns), and inode."""
LinkTarget: TypeAlias = Callable[[bytes], bytes | None]
"""Returns what the link at a path points to; None where there is no link."""

MOST_LINKS = 40
"""Links that Linux follows in one path; a longer way leads nowhere."""


def folders(files: Iterable[bytes]) -> set[bytes]:
    """Return the folders that files are in, the root among them."""
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
    """Return what an edit of a file changes; zeros where there is no file."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return (0, 0, 0, 0, 0)
    return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def folder_signature(path: bytes) -> Signature:
    """Return what an edit in a folder changes; zeros where there is nothing."""
    mode, _, mtime, _, inode = signature(path)
    return mode, 0, mtime, 0, inode


def within(folders: Iterable[bytes], paths: Iterable[bytes]) -> Iterator[bytes]:
    """Return those of the paths that are one of these folders, or below one."""
    above = tuple(folder + b"/" if folder else b"" for folder in folders)
    return (path for path in paths if (path + b"/").startswith(above))


def read(path: bytes) -> bytes | None:
    """Return a regular file's bytes; None for all else. The path's end is no link to be followed.

    Raises `OSError` where it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def scan(folder: bytes) -> Iterable[os.DirEntry[bytes]]:
    """List a folder; nothing where there is none."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def remove(path: bytes) -> None:
    """Remove a file or a folder, if it is there."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(status.st_mode):
        remove_tree(path)
    else:
        os.unlink(path)


def follow(path: bytes, target_of: LinkTarget) -> bytes | None:
    """Return where a path leads, from the checkout's root; None where that is outside of it.

    For a loop of links it is the path itself.
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
    """Return those of a checkout's links that lead out of it."""
    return {path: to for path, to in links.items() if follow(path, links.get) is None}


def link_targets_in(root: bytes) -> LinkTarget:
    """Return a function that reads the links below a folder."""

    def target_of(path: bytes) -> bytes | None:
        try:
            return os.readlink(os.path.join(root, path))
        except OSError:
            return None

    return target_of
