"""A small file system of its own, to be filled up."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from typing import Self

from support.daemons import Scratch


class SmallDisk:
    """A tmpfs of so many bytes at `folder`; use it in a with statement."""

    def __init__(self, size: int = 1_048_576) -> None:
        self._scratch = Scratch("remex-disk-")
        self._size = size
        self.folder = self._scratch.folder / "disk"

    def __enter__(self) -> Self:
        with ExitStack() as on_failure:
            on_failure.callback(self._scratch.close)
            self.folder.mkdir()
            mount = [
                "mount",
                "-n",
                "-t",
                "tmpfs",
                "-o",
                f"size={self._size}",
                "tmpfs",
                str(self.folder),
            ]
            subprocess.run(mount, check=True)
            on_failure.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.close()

    def fill(self, leave: int = 0) -> None:
        """Fill the disk up to so many free bytes with a file named `filler`; empty it first."""
        filler = self.folder / "filler"
        filler.unlink(missing_ok=True)
        status = os.statvfs(self.folder)
        filler.write_bytes(bytes(max(0, status.f_bavail * status.f_frsize - leave)))
