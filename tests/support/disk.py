"""A small file system of its own, to be filled up or made read-only."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack, suppress
from typing import Self

from support.daemons import Scratch

MOUNT = ("mount", "-n", "-t", "tmpfs", "-o")


class SmallDisk:
    """A tmpfs of so many bytes at `folder`; use it in a with statement."""

    def __init__(self, size: int = 16_777_216, inodes: int = 2000) -> None:
        self._scratch = Scratch("remex-disk-")
        self._size = size
        self._inodes = inodes
        self.folder = self._scratch.folder / "disk"

    def __enter__(self) -> Self:
        with ExitStack() as on_failure:
            on_failure.callback(self._scratch.close)
            self.folder.mkdir()
            subprocess.run(
                [
                    *MOUNT,
                    f"size={self._size},nr_inodes={self._inodes},mode=755",
                    "tmpfs",
                    str(self.folder),
                ],
                check=True,
                timeout=30,
            )
            on_failure.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.close()

    @classmethod
    def refused(cls) -> str:
        """Return why this user may not mount one; empty if it may."""
        try:
            with cls():
                return ""
        except (OSError, subprocess.CalledProcessError) as error:
            return str(error)

    def set_read_only(self, *, read_only: bool) -> None:
        """Let nothing be written there, as on a file system that failed; or let it again."""
        options = f"remount,{'ro' if read_only else 'rw'},size={self._size}"
        command = ["mount", "-n", "-o", options, str(self.folder)]
        subprocess.run(command, check=True, timeout=30)

    def take_inodes(self) -> None:
        """Let the disk have room for bytes and for no more files."""
        number = 0
        with suppress(OSError):
            while True:
                (self.folder / f"taken-{number}").touch()
                number += 1

    def give_inodes(self) -> None:
        """Take away what `take_inodes` put there."""
        for path in self.folder.glob("taken-*"):
            path.unlink()

    def empty(self) -> None:
        """Take away what `fill` put there."""
        (self.folder / "filler").unlink()

    def fill(self, leave: int = 0) -> None:
        """Fill the disk up to so many free bytes with a file named `filler`; empty it first."""
        filler = self.folder / "filler"
        filler.unlink(missing_ok=True)
        status = os.statvfs(self.folder)
        filler.write_bytes(bytes(max(0, status.f_bavail * status.f_frsize - leave)))
