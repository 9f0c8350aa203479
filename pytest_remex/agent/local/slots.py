"""One lock file a core: at most that many local jobs run at once, over all of a user's queues."""

import contextlib
import fcntl
import os
import stat
import tempfile
from typing import IO, Optional

from pytest_remex.agent.errors import AgentError


def cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def lock(path: str) -> Optional[IO[str]]:
    """Take a lock file; None when another process has it. Closing it gives it back."""
    file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - the open file is the lock
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


class Slots:
    """The user's slots on this machine, shared by the queues of all runs folders."""

    def __init__(self, folder: Optional[str] = None, count: Optional[int] = None) -> None:
        self.folder = folder or os.path.join(tempfile.gettempdir(), f"remex-{os.getuid()}")
        self.count = count or cores()
        _make_private(self.folder)

    def take(self) -> Optional[IO[str]]:
        """Take a free slot; close it to give it back. None when all are taken."""
        for number in range(self.count):
            taken = lock(os.path.join(self.folder, f"slot-{number}"))
            if taken is not None:
                return taken
        return None


def _make_private(folder: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    found = os.lstat(folder)
    private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    if not private or found.st_uid != os.getuid():
        message = f"{folder} must be a folder that only you can enter; remove it or set TMPDIR"
        raise AgentError("runs", message)
