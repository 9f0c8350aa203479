"""Temporary folders of a process, which another pytest removes if the process was killed.

A folder's name says what it is for, and which process on which machine has it.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from pytest_remex.common.files import remove_tree

SHORT = "/tmp"  # noqa: S108 - for folders of unguessable names, which only their owner can open
"""Where a folder is made whose path must be short, if the usual path is long."""
_NAME = re.compile(r"remex-(?:scratch|objects|index|judging|output|ssh)-([0-9a-f]{8})-(\d+)-[^/]+")


def prefix(purpose: str) -> str:
    """Return the start of a folder's name, for `tempfile`; `_NAME` lists the purposes.

    Example:
        >>> prefix("scratch")
        'remex-scratch-8f434346-4711-'

    """
    return f"remex-{purpose}-{_machine()}-{os.getpid()}-"


def remove_abandoned() -> None:
    """Remove this user's folders that killed pytests on this machine left behind."""
    for folder in {tempfile.gettempdir(), SHORT}:
        with os.scandir(folder) as entries:
            ours = [(entry, named) for entry in entries if (named := _NAME.fullmatch(entry.name))]
        for entry, named in ours:
            if named[1] == _machine() and not is_alive(int(named[2])):
                with suppress(FileNotFoundError):  # another pytest removes it too
                    if entry.stat(follow_symlinks=False).st_uid == os.getuid():
                        remove(Path(entry.path))


def remove(folder: Path) -> None:
    """Remove a folder as far as possible; no link is followed."""
    if folder.is_symlink():
        folder.unlink()
    else:
        with suppress(OSError):
            remove_tree(folder)


def is_alive(pid: int) -> bool:
    """Return whether a process is running on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _machine() -> str:
    """Return a short name for this machine: the path of a socket may have about 100 bytes."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
