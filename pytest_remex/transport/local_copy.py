"""Copying on one machine what rsync copies between two."""

from __future__ import annotations

import os
import shutil
import stat
import time
from typing import TYPE_CHECKING

from pytest_remex.errors import RemoteError
from pytest_remex.transport.transfer import STAGING, Folders, Transferred, unwritable

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_remex.transport.transfer import Wanted


def copy(wanted: Wanted) -> None:
    """Copy the files; one that is not there, may not be read, or lies behind a link is left out.

    All are copied, what did not change too: to compare would cost no less. Raises `RemoteError`
    where a copy cannot be written.
    """
    folders = Folders(wanted.staging)
    reached: dict[tuple[str, ...], bool] = {}
    root = os.path.realpath(wanted.source)
    if not os.path.isdir(root):  # noqa: PTH112 - as below
        raise RemoteError(f"the runs folder {wanted.source} cannot be read: see remex_runs")
    started = time.monotonic()
    files = size = 0
    for name in wanted.names:
        *parents, last = name.split("/")
        parts = tuple(parents)
        if parts not in reached:
            folder = os.path.join(root, *parts)  # noqa: PTH118 - names need not be UTF-8
            reached[parts] = os.path.realpath(folder) == folder
        opened = _open(f"{root}/{name}") if reached[parts] else None
        if opened is not None:
            size += _copy(opened, wanted.staging / STAGING, folders.make(parts) / last)
            files += 1
            wanted.progress(Transferred(files, size, size / max(time.monotonic() - started, 1e-3)))


def _open(path: str) -> int | None:
    """Open a plain file that may be read; None for all else."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    return None


def _copy(opened: int, part: Path, target: Path) -> int:
    """Copy an open file, with the time that it had at the start: what grows on is newer."""
    with os.fdopen(opened, "rb") as file:
        facts = os.fstat(opened)
        try:
            with part.open("wb") as copied:
                shutil.copyfileobj(file, copied, 1 << 20)
            os.utime(part, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            part.replace(target)
        except OSError as error:
            raise unwritable(target, error) from error
    return facts.st_size
