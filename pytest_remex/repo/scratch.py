"""The scratch checkout in which patches run: exact bytes of the base, edits found in milliseconds.

A linked worktree of the user's repository, filled from the blobs themselves, without filters: a
run directory on the cluster is filled in the same way, so a patch sees what the job will see.
Every file and folder gets one fixed, odd modification time, so that any edit shows in its stat.
"""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from pytest_remex.repo.blobs import Blobs, listing
from pytest_remex.repo.files import (
    Signature,
    below,
    folder_signature,
    folders,
    remove,
    scan,
    signature,
)
from pytest_remex.repo.git import Git
from pytest_remex.repo.patch import Edit, Patch
from pytest_remex.repo.stale import PREFIX, remove_stale

Look: TypeAlias = Callable[[Mapping[str, bytes]], None]
"""Told of files' bytes, by path."""

PINNED = 1_000_000_007_123_456_789
"""The modification time (ns) of every untouched file: nothing else writes that one."""


class Scratch:
    """A checkout of `base` that patches may edit, and that goes back to the base after each.

    Its paths are bytes, as git's are.
    """

    def __init__(self, repository: Git, base: str) -> None:
        self._git = repository
        self.base = base
        remove_stale(repository)
        self._home = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{socket.gethostname()}-{os.getpid()}-"))
        self.path = self._home / f"{PREFIX}{self._home.name[-8:]}"
        repository.run(
            "worktree", "add", "--quiet", "--no-checkout", "--detach", str(self.path), base
        )
        self._root = os.fsencode(self.path)
        self._files = dict(listing(repository, base))
        self._known = folders(self._files)
        self._blobs = Blobs(repository)
        self._pinned: dict[bytes, tuple[bytes, Signature]] = {}
        self._pinned_folders: dict[bytes, tuple[bytes, Signature]] = {}
        self._lent = False
        self._fill()

    def lend(self) -> Path:
        """Give the checkout to a patch."""
        self._lent = True
        return self.path

    def patch(self) -> Patch:
        """Give what was changed since the checkout was lent."""
        return self._patch(self._touched(), self._added())

    def take(self, look: Look | None = None) -> Patch:
        """Give what was changed and go back to the base, looking at the files only once.

        Before it goes back, `look` is told what the files that were touched were in the base.
        """
        touched, added = self._touched(), self._added()
        patch = self._patch(touched, added)
        if look:
            look({os.fsdecode(path): self.original(path) for path in touched})
        self._revert(touched, added)
        return patch

    def restore(self) -> None:
        """Go back to the base, where that was not done yet."""
        if self._lent:
            self._revert(self._touched(), self._added())

    def size(self, shared: Sequence[str]) -> int:
        """Give the bytes of a run directory, without what runs share."""
        apart = tuple(os.fsencode(path.strip("/")) for path in shared)
        return sum(
            blob.size
            for path, blob in self._files.items()
            if not any(path == each or path.startswith(each + b"/") for each in apart)
        )

    def original(self, path: bytes) -> bytes:
        """Give a file's bytes in the base; empty where it is not there."""
        blob = self._files.get(path)
        return b"" if blob is None else self._blobs.read(blob)

    def close(self) -> None:
        """Remove the checkout and its registration in the repository."""
        self._blobs.close()
        self._git.attempt("worktree", "remove", "--force", "--force", str(self.path))
        shutil.rmtree(self._home, ignore_errors=True)

    def _patch(self, touched: list[bytes], added: list[bytes]) -> Patch:
        kept = self._unignored(added)
        ignored = sorted(os.fsdecode(path) for path in set(added) - set(kept))
        edits = [self._edit(path) for path in [*touched, *kept]]
        edits.sort(key=lambda edit: (edit.content is not None, edit.path))
        return Patch(tuple(edits), tuple(ignored))

    def _revert(self, touched: list[bytes], added: list[bytes]) -> None:
        for path in added:
            remove(self._full(path))
        for path in touched:
            remove(self._full(path))
            self._write(path)
        for folder in self._touched_folders():
            for entry in self._unknown(folder):
                remove(entry.path)
            self._pin(folder)
        self._lent = False

    def _fill(self) -> None:
        self._git.run("-C", str(self.path), "read-tree", self.base)
        for folder in sorted(self._known):
            (self.path / os.fsdecode(folder)).mkdir(exist_ok=True)
        for path in self._files:
            self._write(path)
        for folder in self._known:
            self._pin(folder)

    def _full(self, path: bytes) -> bytes:
        return os.path.join(self._root, path) if path else self._root

    def _write(self, path: bytes) -> None:
        blob, full = self._files[path], self._full(path)
        above = os.path.dirname(full)
        if not os.path.isdir(above):
            os.makedirs(above)
        if blob.mode == "120000":
            os.symlink(self._blobs.read(blob), full)
        else:
            self._blobs.copy(blob, full)
            os.chmod(full, 0o755 if blob.mode == "100755" else 0o644)
        self._pin(path)

    def _pin(self, path: bytes) -> None:
        full = self._full(path)
        os.utime(full, ns=(PINNED, PINNED), follow_symlinks=False)
        if path in self._known:
            self._pinned_folders[path] = full, folder_signature(full)
        else:
            self._pinned[path] = full, signature(full)

    def _touched(self) -> list[bytes]:
        return [path for path, (full, was) in self._pinned.items() if signature(full) != was]

    def _touched_folders(self) -> list[bytes]:
        pinned = self._pinned_folders.items()
        return [path for path, (full, was) in pinned if folder_signature(full) != was]

    def _added(self) -> list[bytes]:
        return [new for folder in self._touched_folders() for new in self._strangers(folder)]

    def _strangers(self, folder: bytes) -> Iterator[bytes]:
        for entry in self._unknown(folder):
            path = os.path.relpath(entry.path, self._root)
            if entry.is_dir(follow_symlinks=False):
                yield from below(self._root, path)
            else:
                yield path

    def _unknown(self, folder: bytes) -> Iterator[os.DirEntry[bytes]]:
        for entry in scan(self._full(folder)):
            path = os.path.join(folder, entry.name) if folder else entry.name
            known = self._known if entry.is_dir(follow_symlinks=False) else self._files
            if path != b".git" and path not in known:
                yield entry

    def _unignored(self, added: list[bytes]) -> list[bytes]:
        if not added:
            return []
        process = self._git.stream("-C", str(self.path), "check-ignore", "-z", "--stdin")
        process.stdin.write(b"".join(path + b"\0" for path in added))
        process.stdin.close()
        left_out = set(process.stdout.read().split(b"\0"))
        process.end()
        return [path for path in added if path not in left_out]

    def _edit(self, path: bytes) -> Edit:
        full = self._full(path)
        try:
            status = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            return Edit(path)
        if stat.S_ISLNK(status.st_mode):
            return Edit(path, "120000", os.readlink(full))
        if not stat.S_ISREG(status.st_mode):
            return Edit(path)
        with open(full, "rb") as file:
            content = file.read()
        return Edit(path, "100755" if status.st_mode & stat.S_IXUSR else "100644", content)
