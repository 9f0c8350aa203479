"""Folders that a job or a patch made: it can make them deeper than any path or recursion goes."""

import itertools
import os
from typing import AnyStr, List, Union

DEEPEST = 100
"""Folders in each other that are looked into."""
LONGEST = 2000
"""Bytes of the longest path below a run directory or checkout; Linux takes 4096 in all."""


def is_too_deep(path: AnyStr) -> bool:
    """Return whether a relative path is one that nobody can mean to be copied."""
    text = os.fsencode(path)
    return text.count(b"/") >= DEEPEST or len(text) > LONGEST


def remove_tree(path: "Union[bytes, str, os.PathLike[str]]") -> None:
    """Remove a folder with all that is in it, and follow no link. Raises `OSError`.

    The folders in a folder are moved to the top before they are looked into.
    """
    top, numbers = os.fsencode(path), itertools.count()
    os.chmod(top, 0o700)  # a folder that its owner may not write to cannot be emptied
    folders = [top]
    while folders:
        folder = folders.pop()
        for entry in entries(folder):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            os.chmod(entry.path, 0o700)
            folders.append(entry.path if folder == top else _moved(entry.path, top, numbers))
        if folder != top:
            os.rmdir(folder)
    os.rmdir(top)


def entries(folder: AnyStr) -> "List[os.DirEntry[AnyStr]]":
    """List a folder."""
    with os.scandir(folder) as found:
        return list(found)


def _moved(folder: bytes, top: bytes, numbers: "itertools.count[int]") -> bytes:
    """Move a folder to the top, under a name that is free there, and return its new path."""
    while True:
        target = os.path.join(top, b"removed.%d.%d" % (os.getpid(), next(numbers)))
        if not os.path.lexists(target):
            os.rename(folder, target)
            return target
