"""Files that a job or a patch made, which may be links to anywhere, pipes, or in deep folders."""

import itertools
import os
import stat
from typing import AnyStr, BinaryIO, Dict, Iterator, List, Optional, Union

DEEPEST = 100
"""The deepest nesting of folders to read."""
LONGEST = 2000
"""Bytes of the longest path below a run directory or checkout; Linux takes 4096 in all."""

_Path = Union[bytes, str, "os.PathLike[str]"]
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_too_deep(path: AnyStr) -> bool:
    """Return whether a relative path can never be copied."""
    text = os.fsencode(path)
    return text.count(b"/") >= DEEPEST or len(text) > LONGEST


def is_regular(path: "Union[str, os.PathLike[str]]") -> bool:
    """Return whether a path is a regular file, and no link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def open_regular(
    path: "Union[bytes, str, os.PathLike[str]]", folder: Optional[int] = None
) -> Optional[int]:
    """Open a regular file to read it, without following a link or waiting for a pipe's other end.

    Args:
        path: The file.
        folder: An open folder that a relative path starts from.

    Returns:
        The descriptor; None for anything but a regular file.

    Raises:
        OSError: It cannot be opened; `ELOOP` if it is a link.

    """
    opened = os.open(path, _FILE, dir_fd=folder)
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    return None


def write_all(opened: int, content: bytes) -> None:
    """Write bytes to an open file, of which the system may take fewer at a time."""
    written = os.write(opened, content)
    while written < len(content):
        written += os.write(opened, content[written:])


def read_up_to(file: BinaryIO, most: int) -> bytes:
    """Return at most so many bytes of an open file from its start, as `file.read(most)` does.

    That reserves memory for as many bytes first: for a small file it takes several times as long.
    """
    size = os.fstat(file.fileno()).st_size
    data = file.read(min(size + 1, most))
    if len(data) > size:  # it has grown meanwhile, or its size is not known, as in /proc
        data += file.read(most - len(data))
    return data


class FilesBelow:
    """The regular files below a folder; none is opened through a link in its path."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.realpath(folder)
        self._is_plain: Dict[str, bool] = {}

    def exists(self) -> bool:
        """Return whether the folder exists."""
        return os.path.isdir(self._folder)

    def path(self, name: str) -> str:
        """Return the path of a file."""
        return os.path.join(self._folder, name)

    def open(self, name: str) -> Optional[int]:
        """Open a file to read it; None if it is missing, unreadable, or no such file."""
        path = self.path(name)
        folder = os.path.dirname(path)
        if folder not in self._is_plain:
            self._is_plain[folder] = os.path.realpath(folder) == folder
        try:
            return open_regular(path) if self._is_plain[folder] else None
        except OSError:
            return None


def remove_tree(path: _Path) -> None:
    """Remove a folder with all that is in it, and follow no link. Raises `OSError`.

    The folders in a folder are moved to the top before they are looked into.
    """
    top, numbers = _open(os.fspath(path), None), itertools.count()
    try:
        names = _empty(top, top, numbers)
        while names:
            name = names.pop()
            folder = _open(name, top)
            try:
                names += _empty(folder, top, numbers)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(path)


def _empty(folder: int, top: int, numbers: "Iterator[int]") -> List[str]:
    """Remove an open folder's files, move its folders to the top, and return their names there."""
    found = []
    for name in os.listdir(folder):
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if not stat.S_ISDIR(mode):
            os.unlink(name, dir_fd=folder)
            continue
        if mode & stat.S_IRWXU != stat.S_IRWXU:  # needed to move it
            os.chmod(name, stat.S_IRWXU, dir_fd=folder)
        there = name if folder == top else _free_name(top, numbers)
        if folder != top:
            os.rename(name, there, src_dir_fd=folder, dst_dir_fd=top)
        found.append(there)
    return found


def _open(name: "Union[bytes, str]", above: Optional[int]) -> int:
    """Open a folder that is not a link, and let its owner read and write in it."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=above)
    except PermissionError:
        os.chmod(name, stat.S_IRWXU, dir_fd=above)
        folder = os.open(name, _FOLDER, dir_fd=above)
    os.fchmod(folder, stat.S_IRWXU)
    return folder


def _free_name(folder: int, numbers: "Iterator[int]") -> str:
    while True:
        name = f"removed.{os.getpid()}.{next(numbers)}"
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return name
