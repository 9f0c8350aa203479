"""The scratch checkout in which patches run: exact bytes of the base, edits found in milliseconds.

The checkout is filled from the blobs of the user's repository, without filters. A run directory on
the cluster is filled in the same way, so a patch sees what the job will see.

If a patch replaces a folder by a link, nothing behind that link is read or removed. Links of the
base that lead out of the checkout are made to lead nowhere: a patch that writes through one would
otherwise write to the user's own files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from pytest_remex.common.files import DEEPEST, LONGEST, is_too_deep
from pytest_remex.errors import SweepError
from pytest_remex.repo.commits import Patch
from pytest_remex.repo.files import (
    folders,
    follow,
    leaving,
    link_targets_in,
    read,
    remove,
    signature,
    within,
)
from pytest_remex.repo.git import Git
from pytest_remex.repo.trees import EXECUTABLE, LINK, SUBMODULE, Blob, Blobs, Edit
from pytest_remex.repo.worktree import Changes, Pins, Worktree

Inspect: TypeAlias = Callable[[Patch, Mapping[str, bytes]], None]
"""Takes the patch, and the changed files' bytes in the base, by path."""

NOWHERE = b"/dev/null/this-link-leaves-the-checkout/"
"""A path below a file that is not a folder: nothing can exist or be created there."""


class Scratch:
    """A checkout of `base` that patches may edit, and that is reset to the base after each.

    `files` are those of the base. Paths are bytes, as in git.
    """

    def __init__(self, repository: Git, base: str, files: Mapping[bytes, Blob]) -> None:
        self.base = base
        self._worktree = Worktree(repository, base)
        self.path = self._worktree.path
        self._root = os.fsencode(self.path)
        self.files = files
        """The files of the base, by path."""
        # git has only the name of a submodule's commit: its folder is empty, as in run directories
        modules = {path for path, blob in self.files.items() if blob.mode == SUBMODULE}
        self._written = self.files.keys() - modules
        self._folders = sorted(folders(self.files) | modules)
        self._pins = Pins(self._root, self._written, self._folders)
        self._blobs = Blobs(repository)
        blobs = self.files.items()
        self._links = {path: self._blobs.read(blob) for path, blob in blobs if blob.mode == LINK}
        self._leaving = leaving(self._links)
        self._blocked = {
            NOWHERE + str(n).encode(): to for n, to in enumerate(self._leaving.values())
        }
        self._targets = self._links | dict(zip(self._leaving, self._blocked, strict=True))
        self._ignored = _Ignored(repository, self.path, self._worktree.home)
        self._checked_out = False
        self._fill()

    def checkout(self) -> Path:
        """Return the checkout's folder, for a patch to edit."""
        self._checked_out = True
        return self.path

    def read(self, name: str) -> bytes | None:
        """Return a file's current bytes in the checkout; None if it does not exist.

        Raises `SweepError` if the path goes through a link that leaves the checkout.
        """
        given = os.fsencode(name)
        blob = self.files.get(given)
        if blob is not None and blob.mode != LINK and self._pins.is_unchanged(given):
            return self._blobs.read(blob)
        self._refuse_lost_root()
        path = follow(given, link_targets_in(self._root))
        if path is None:
            raise SweepError(
                f"{name} is reached through a link that leaves the checkout, and files outside are "
                f"not part of a commit: replace the link by the file itself"
            )
        try:
            return read(self._pins.full(path))
        except OSError:
            return None

    def patch(self) -> Patch:
        """Return the changes since `checkout` was called."""
        self._refuse_lost_root()
        return self._patch(self._changes())

    def take(self, inspect: Inspect | None = None) -> Patch:
        """Return the changes since `checkout` was called, and reset the checkout to the base.

        Before the reset, `inspect` gets the patch and the changed files' bytes in the base. By then
        links that leave the checkout have been removed.
        """
        self._refuse_lost_root()
        changes = self._changes()
        patch = self._patch(changes)
        if inspect:
            originals = {os.fsdecode(path): self.original(path) for path in changes.changed}
            changes.changed.extend(self._remove_leaving(changes))
            inspect(patch, originals)
        self._revert(changes)
        return patch

    def restore(self) -> None:
        """Reset the checkout to the base, unless that was done already."""
        if self._checked_out:
            self._revert(self._changes())

    def original(self, path: bytes) -> bytes:
        """Return a file's bytes in the base; empty if the base does not have it."""
        blob = self.files.get(path)
        return b"" if blob is None else self._blobs.read(blob)

    def close(self) -> None:
        """Remove the checkout and its registration in the repository."""
        self._blobs.close()
        self._worktree.remove()

    def _patch(self, changes: Changes) -> Patch:
        if deep := next(filter(is_too_deep, changes.added), None):
            raise SweepError(
                f"the patch nests folders deeper than {DEEPEST}, or makes a path over "
                f"{LONGEST} bytes: {os.fsdecode(deep)[:60]}..."
            )
        ignored = self._ignored.among(changes.added)
        kept = [path for path in changes.added if path not in ignored and not _is_cache(path)]
        gone, changed = changes.unreachable, (e for e in changes.changed if not _is_cache(e))
        edits = [Edit(path) if path in gone else self._edit(path) for path in changed]
        edits += [self._edit(path) for path in kept]
        edits.sort(key=lambda edit: (edit.content is not None, edit.path))
        links = self._leaving_after(edits).items()
        shown = tuple((os.fsdecode(path), os.fsdecode(to)) for path, to in sorted(links))
        without = [each.path for each in edits if each.content is None and each.path not in gone]
        special = sorted(os.fsdecode(path) for path in without if self._is_special(path))
        left_out = tuple(sorted(os.fsdecode(path) for path in ignored if not _is_cache(path)))
        return Patch(tuple(edits), left_out, shown, tuple(special))

    def _is_special(self, path: bytes) -> bool:
        """Return whether a path is now a pipe, a socket or a device."""
        try:
            mode = os.lstat(self._pins.full(path)).st_mode
        except OSError:
            return False
        return not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode))

    def _edit(self, path: bytes) -> Edit:
        full = self._pins.full(path)
        try:
            status = os.lstat(full)
        except (FileNotFoundError, NotADirectoryError):
            return Edit(path)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(full)
            return Edit(path, LINK, self._blocked.get(target, target))
        if not stat.S_ISREG(status.st_mode):
            return Edit(path)
        mode = EXECUTABLE if status.st_mode & stat.S_IXUSR else "100644"
        return Edit(path, mode, read(full))

    def _leaving_after(self, edits: Sequence[Edit]) -> Mapping[bytes, bytes]:
        if not any(edit.mode == LINK or edit.path in self._links for edit in edits):
            return self._leaving
        links = dict(self._links)
        for edit in edits:
            links.pop(edit.path, None)
            if edit.mode == LINK and edit.content is not None:
                links[edit.path] = edit.content
        return leaving(links)

    def _remove_leaving(self, changes: Changes) -> Sequence[bytes]:
        """Remove the links that leave the checkout because of a patch; return the base's links."""
        gone = changes.unreachable
        there = [path for path in (*changes.changed, *changes.added) if path not in gone]
        made = [path for path in there if os.path.islink(self._pins.full(path))]
        kept = set(self._links).difference(changes.changed, self._leaving) if made else ()
        targets = link_targets_in(self._root)
        leave = [path for path in (*made, *kept) if follow(path, targets) is None]
        for path in leave:
            remove(self._pins.full(path))
        return [path for path in leave if path in kept]

    def _changes(self) -> Changes:
        self._worktree.refuse_lost_home()
        return self._pins.changes()

    def _revert(self, changes: Changes) -> None:
        for path in changes.lost_folders:
            remove(self._pins.full(path))
        made = list(within(changes.lost_folders, self._folders))
        holding = {*map(os.path.dirname, changes.changed)}.difference(made, changes.folders)
        # an inspection may have added files since
        for folder in (*changes.folders, *filter(self._pins.is_edited, holding)):
            self._remove_untracked(folder)
        for folder in made:
            os.mkdir(self._pins.full(folder))
        for path in changes.changed:
            remove(self._pins.full(path))
            self._write(path)
        self._worktree.restore()
        for folder in {*changes.folders, *made, *holding}:
            self._pins.pin(folder)
        self._checked_out = False

    def _remove_untracked(self, folder: bytes) -> None:
        os.chmod(self._pins.full(folder), self._pins.mode(folder))
        for entry in self._pins.untracked(folder):
            remove(entry.path)

    def _fill(self) -> None:
        for folder in self._folders:
            (self.path / os.fsdecode(folder)).mkdir(exist_ok=True)
        for path in self.files:
            if path in self._written:
                self._write(path)
        for folder in self._folders:
            self._pins.pin(folder)

    def _write(self, path: bytes) -> None:
        blob, full = self.files[path], self._pins.full(path)
        if blob.mode == LINK:
            os.symlink(self._targets[path], full)
        else:
            self._blobs.copy(blob, full)
            os.chmod(full, 0o755 if blob.mode == EXECUTABLE else 0o644)
        self._pins.pin(path)

    def _refuse_lost_root(self) -> None:
        if not stat.S_ISDIR(signature(self._root)[0]):
            raise SweepError(
                f"the patch replaced or removed the checkout itself, {self.path}: change only the "
                f"files in it"
            )


def _is_cache(path: bytes) -> bool:
    """Return whether Python keeps a compiled file there, which has the time of its source in it.

    A patch that imports a module writes one, and would make another experiment each time.
    """
    return b"__pycache__" in path.split(b"/")[:-1]


class _Ignored:
    """Decide which new files are ignored, only by the checkout's .gitignore files.

    The user's own lists (core.excludesFile, .git/info/exclude) exist on one machine only, but the
    same patch must make the same commit everywhere. So git runs in an empty repository below
    `home`.
    """

    def __init__(self, repository: Git, checkout: Path, home: Path) -> None:
        self._git = repository
        empty = home / "ignored.git"
        for folder in ("objects", "refs"):
            (empty / folder).mkdir(parents=True)
        (empty / "HEAD").write_text("ref: refs/heads/none\n", "utf-8")
        self._where = ("-C", str(checkout), f"--git-dir={empty}")

    def among(self, paths: Sequence[bytes]) -> set[bytes]:
        """Return the paths that are ignored."""
        if not paths:
            return set()
        names = b"".join(path + b"\0" for path in paths)
        command, none_is = ("check-ignore", "-z", "--no-index", "--stdin"), 1
        ignored = self._git.ask(*command, text=names, options=self._where, accepted=(0, none_is))
        return set(ignored.split(b"\0")) - {b""}
