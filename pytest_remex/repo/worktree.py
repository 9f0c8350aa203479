"""The linked worktree that git knows the scratch checkout by, without the files in it.

Git that a patch runs there may stage, commit, switch branches, or be killed and leave a lock: the
worktree's HEAD, index and other files of git go back to the base as the checkout's files do.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import tempfile
from pathlib import Path

from pytest_remex.errors import SweepError
from pytest_remex.repo.files import Signature, below, folder_signature, remove, scan, signature
from pytest_remex.repo.git import Git, is_alive

PREFIX = "remex-scratch-"
"""How the folders of scratch checkouts begin; host and process follow."""
POINTER = b".git"
"""The file in a worktree by which git finds the repository."""


class Worktree:
    """A worktree at `base`, with git's own files and no others; `home` is the folder around it."""

    def __init__(self, repository: Git, base: str) -> None:
        remove_stale(repository)
        self._git = repository
        self.home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{socket.gethostname()}-{os.getpid()}-"))
        self.path = self.home / f"{PREFIX}{self.home.name[-8:]}"
        repository.run(
            "worktree", "add", "--quiet", "--no-checkout", "--detach", str(self.path), base
        )
        repository.run("-C", str(self.path), "-c", "core.sparseCheckout=false", "read-tree", base)
        self._home_identity = self._identify_home()
        pointer = self.path / os.fsdecode(POINTER)
        folder = pointer.read_bytes().removeprefix(b"gitdir: ").rstrip(b"\n")
        self._pointer = _SavedFile(os.fsencode(pointer))
        self._folder = _SavedFolder(folder)

    def restore(self) -> None:
        """Put HEAD, the index and all else that is git's back to where they were."""
        self._pointer.restore()
        self._folder.restore()

    def refuse_lost_home(self) -> None:
        """Raise `SweepError` where a patch removed or replaced the folder around the checkout."""
        if self._identify_home() != self._home_identity:
            raise SweepError(
                f"the patch removed or replaced {self.home}, the folder that the checkout is in: "
                f"change only what is in experiment.path"
            )

    def remove(self) -> None:
        """Remove the checkout and its registration in the repository."""
        _remove(self._git, self.path)

    def _identify_home(self) -> tuple[int, int]:
        mode, *_, inode = folder_signature(os.fsencode(self.home))
        return mode, inode


def remove_stale(repository: Git) -> None:
    """Remove worktrees that a killed pytest on this machine left behind."""
    pattern = re.compile(rf"/{PREFIX}{re.escape(socket.gethostname())}-(\d+)-[^/]+/")
    output = repository.run("worktree", "list", "--porcelain", "-z")
    for line in output.split("\0"):
        path = line.removeprefix("worktree ")
        owner = pattern.search(path)
        if line != path and owner and not is_alive(int(owner[1])):
            _remove(repository, Path(path))


def _remove(repository: Git, path: Path) -> None:
    """Remove a worktree, the folder around it, and its registration; no link is followed."""
    home = path.parent
    if home.is_symlink():
        home.unlink()
    shutil.rmtree(home, ignore_errors=True)
    if not path.is_symlink():  # git would empty what it points to
        repository.attempt("worktree", "remove", "--force", "--force", str(path))


class _SavedFile:
    """A file's bytes, to be written again where it was changed."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._content = Path(os.fsdecode(path)).read_bytes()
        self._signature: Signature = signature(path)

    def restore(self) -> None:
        if signature(self._path) != self._signature:
            remove(self._path)
            Path(os.fsdecode(self._path)).write_bytes(self._content)
            self._signature = signature(self._path)


class _SavedFolder:
    """A folder's files, to be written again where they were changed; what is new is removed."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._files = {path: _SavedFile(root + b"/" + path) for path in below(root, b"")}
        self._folders = sorted(_folders_below(root, b""))

    def restore(self) -> None:
        for folder in self._folders:
            full = os.path.join(self._root, folder)
            if not stat.S_ISDIR(signature(full)[0]):
                remove(full)
                os.makedirs(full)
            self._remove_new(folder)
        for file in self._files.values():
            file.restore()

    def _remove_new(self, folder: bytes) -> None:
        for entry in scan(os.path.join(self._root, folder)):
            path = os.path.join(folder, entry.name)
            if path not in self._files and path not in self._folders:
                remove(entry.path)


def _folders_below(root: bytes, folder: bytes) -> list[bytes]:
    found = [folder]
    for entry in scan(os.path.join(root, folder)):
        if entry.is_dir(follow_symlinks=False):
            found += _folders_below(root, os.path.join(folder, entry.name))
    return found
