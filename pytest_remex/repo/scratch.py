"""The scratch checkout in which patches run: exact bytes of the base, edits found in milliseconds.

A linked worktree of the user's repository, filled from the blobs themselves, without filters: a
run directory on the cluster is filled in the same way, so a patch sees what the job will see.

Behind a link that a patch put where a folder was, nothing is read or removed. A link of the base
that leads out of the checkout leads nowhere in it: a patch that writes to it would otherwise write
to the user's own files.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from pytest_remex.errors import SweepError
from pytest_remex.repo.blobs import Blobs, listing
from pytest_remex.repo.files import folder_signature, folders, read, remove, signature, within
from pytest_remex.repo.git import Git
from pytest_remex.repo.ignored import Ignored
from pytest_remex.repo.links import NOWHERE, follow, leaving, target_in
from pytest_remex.repo.patch import Edit, Patch
from pytest_remex.repo.pins import GIT, Found, Pins
from pytest_remex.repo.stale import PREFIX, remove_checkout, remove_stale

Look: TypeAlias = Callable[[Mapping[str, bytes]], None]
"""Told of files' bytes, by path."""

_LINK = "120000"


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
        self._known = sorted(folders(self._files))
        self._pins = Pins(self._root, self._files.keys(), self._known)
        self._blobs = Blobs(repository)
        blobs = self._files.items()
        self._links = {path: self._blobs.read(blob) for path, blob in blobs if blob.mode == _LINK}
        self._leaving = leaving(self._links)
        self._sealed = {
            NOWHERE + str(n).encode(): to for n, to in enumerate(self._leaving.values())
        }
        self._laid = self._links | dict(zip(self._leaving, self._sealed, strict=True))
        self._ignored = Ignored(repository, self.path, self._home)
        self._lent = False
        self._home_was = folder_signature(os.fsencode(self._home))[::4]
        self._pointer = self._pins.full(GIT)
        self._pointed = (self.path / os.fsdecode(GIT)).read_bytes(), signature(self._pointer)
        self._fill()

    def lend(self) -> Path:
        """Give the checkout to a patch."""
        self._lent = True
        return self.path

    def read(self, name: str) -> bytes | None:
        """Return the bytes of a file that stands in the checkout now; None where there is none.

        Raises `SweepError` where it is reached through a link that leaves the checkout.
        """
        self._refuse_lost_root()
        path = follow(os.fsencode(name), target_in(self._root))
        if path is None:
            raise SweepError(
                f"{name} is reached through a link that leaves the checkout: what is outside is "
                f"no part of a commit; put the file itself there"
            )
        try:
            return read(self._pins.full(path))
        except OSError:
            return None

    def patch(self) -> Patch:
        """Return what was changed since the checkout was lent."""
        self._refuse_lost_root()
        return self._patch(self._find())

    def take(self, look: Look | None = None) -> Patch:
        """Return what was changed since the checkout was lent, and go back to the base.

        Before it goes back, `look` is told what the files that were touched were in the base; it
        finds no link there any more that leaves the checkout.
        """
        self._refuse_lost_root()
        found = self._find()
        patch = self._patch(found)
        if look:
            originals = {os.fsdecode(path): self.original(path) for path in found.touched}
            found.touched.extend(self._cut(found))
            look(originals)
        self._revert(found)
        return patch

    def restore(self) -> None:
        """Go back to the base, where that was not done yet."""
        if self._lent:
            self._revert(self._find())

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
        remove_checkout(self._git, self.path)

    def _patch(self, found: Found) -> Patch:
        ignored = self._ignored.among(found.added)
        kept = [path for path in found.added if path not in ignored]
        gone = found.gone
        edits = [Edit(path) if path in gone else self._edit(path) for path in found.touched]
        edits += [self._edit(path) for path in kept]
        edits.sort(key=lambda edit: (edit.content is not None, edit.path))
        links = self._leaving_after(edits).items()
        shown = tuple((os.fsdecode(path), os.fsdecode(to)) for path, to in sorted(links))
        return Patch(tuple(edits), tuple(sorted(map(os.fsdecode, ignored))), shown)

    def _leaving_after(self, edits: Sequence[Edit]) -> Mapping[bytes, bytes]:
        if not any(edit.mode == _LINK or edit.path in self._links for edit in edits):
            return self._leaving
        links = dict(self._links)
        for edit in edits:
            links.pop(edit.path, None)
            if edit.mode == _LINK and edit.content is not None:
                links[edit.path] = edit.content
        return leaving(links)

    def _cut(self, found: Found) -> Sequence[bytes]:
        """Remove the links that a patch let leave the checkout; return those of the base."""
        gone = found.gone
        there = [path for path in (*found.touched, *found.added) if path not in gone]
        made = [path for path in there if os.path.islink(self._pins.full(path))]
        kept = set(self._links).difference(found.touched, self._leaving) if made else ()
        leave = [path for path in (*made, *kept) if follow(path, target_in(self._root)) is None]
        for path in leave:
            remove(self._pins.full(path))
        return [path for path in leave if path in kept]

    def _revert(self, found: Found) -> None:
        for path in found.lost:
            remove(self._pins.full(path))
        for folder in found.folders:
            self._clear(folder)
        made = list(within(found.lost, self._known))
        for folder in made:
            os.mkdir(self._pins.full(folder))
        for path in found.touched:
            remove(self._pins.full(path))
            self._write(path)
        if signature(self._pointer) != self._pointed[1]:
            self._point()
        for folder in {*found.folders, *made}:
            self._pins.pin(folder)
        self._lent = False

    def _clear(self, folder: bytes) -> None:
        os.chmod(self._pins.full(folder), self._pins.mode(folder))
        for entry in self._pins.unknown(folder):
            remove(entry.path)

    def _fill(self) -> None:
        self._git.run(
            "-C", str(self.path), "-c", "core.sparseCheckout=false", "read-tree", self.base
        )
        for folder in self._known:
            (self.path / os.fsdecode(folder)).mkdir(exist_ok=True)
        for path in self._files:
            self._write(path)
        for folder in self._known:
            self._pins.pin(folder)

    def _point(self) -> None:
        """Write the file .git anew, by which git in the checkout finds the repository."""
        remove(self._pointer)
        Path(os.fsdecode(self._pointer)).write_bytes(self._pointed[0])
        self._pointed = self._pointed[0], signature(self._pointer)

    def _write(self, path: bytes) -> None:
        blob, full = self._files[path], self._pins.full(path)
        if blob.mode == _LINK:
            os.symlink(self._laid[path], full)
        else:
            self._blobs.copy(blob, full)
            os.chmod(full, 0o755 if blob.mode == "100755" else 0o644)
        self._pins.pin(path)

    def _find(self) -> Found:
        if folder_signature(os.fsencode(self._home))[::4] != self._home_was:
            raise SweepError(f"the folder {self._home}, which the checkout was in, is gone")
        return self._pins.find()

    def _refuse_lost_root(self) -> None:
        if not stat.S_ISDIR(signature(self._root)[0]):
            raise SweepError(
                f"the patch replaced or removed the checkout itself, {self.path}: change what is "
                f"in it"
            )

    def _edit(self, path: bytes) -> Edit:
        full = self._pins.full(path)
        try:
            status = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            return Edit(path)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(full)
            return Edit(path, _LINK, self._sealed.get(target, target))
        if not stat.S_ISREG(status.st_mode):
            return Edit(path)
        mode = "100755" if status.st_mode & stat.S_IXUSR else "100644"
        return Edit(path, mode, read(full))
