"""Copying on one machine what rsync copies between two."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_remex.remote.transfer import Folders, Transferred

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def copy(
    source: str,
    names: Sequence[str],
    staging: Path,
    progress: Callable[[Transferred], None],
) -> None:
    """Copy the files `names` of the folder `source` into `staging`, with their times.

    A file that is not there, may not be read, or is reached by a link is left out.
    """
    folders = Folders(staging)
    root = os.path.realpath(source)
    started = time.monotonic()
    files = size = 0
    for name in names:
        *parts, last = name.split("/")
        if os.path.realpath(os.path.join(root, *parts)) != os.path.join(root, *parts):
            continue
        with contextlib.suppress(FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
            size += _copy_file(os.path.join(root, name), folders.make(tuple(parts)) / last)
            files += 1
            progress(Transferred(files, size, size / max(time.monotonic() - started, 1e-3)))
