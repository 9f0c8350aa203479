"""Files by their bytes paths, looked at without following links."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from typing import TypeAlias

Signature: TypeAlias = tuple[int, int, int, int, int]
"""Mode, size, modification and change time (ns), and inode."""


def folders(files: Iterable[bytes]) -> set[bytes]:
    """Give the folders that files are in, the root among them."""
    found = {b""}
    for path in files:
        while (path := os.path.dirname(path)) not in found:
            found.add(path)
    return found


def below(root: bytes, folder: bytes) -> Iterator[bytes]:
    """Give the files below a folder of `root`."""
    for entry in scan(os.path.join(root, folder)):
        path = os.path.join(folder, entry.name)
        if entry.is_dir(follow_symlinks=False):
            yield from below(root, path)
        else:
            yield path


def signature(path: bytes) -> Signature:
    """Give what an edit of a file changes; zeros where there is none."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return (0, 0, 0, 0, 0)
    return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def folder_signature(path: bytes) -> Signature:
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
        shutil.rmtree(path)
    else:
        os.unlink(path)
