"""Write run directories file by file: each blob is read once and written to all that need it.

Shared paths are written once per base commit, read-only, and run directories link to them.
"""

import contextlib
import hashlib
import os
import stat
from typing import Dict, Iterable, Iterator, List, Optional, Set

from pytest_remex.agent import fs
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.place.objects import CHUNK, Blobs, TreeEntry
from pytest_remex.common.files import write_all
from pytest_remex.common.paths import unplaceable

_LINK = b"120000"
_SUBMODULE = b"160000"
_PROGRAM = b"100755"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class Folder:
    """A folder to fill; it makes the subfolders that its files need."""

    def __init__(self, path: str) -> None:
        self._path = os.fsencode(path)
        self._made: Set[bytes] = {b""}
        os.mkdir(self._path)

    def path_for(self, path: bytes) -> bytes:
        """Make the parent folders of a file, and return its full path."""
        self.make(os.path.dirname(path))
        return os.path.join(self._path, path)

    def make(self, folder: bytes) -> None:
        """Make a folder and its parents."""
        if folder not in self._made:
            self.make(os.path.dirname(folder))
            os.mkdir(os.path.join(self._path, folder))
            self._made.add(folder)


def check(entries: Iterable[TreeEntry]) -> None:
    """Raise an error of kind git for paths that would leave the run directory or clash with it."""
    for entry in entries:
        why = unplaceable(entry.path)
        if why:
            message = f"a commit has the path {os.fsdecode(entry.path)!r}: {why}; remove it"
            raise AgentError("git", message)


def fill(blobs: Blobs, wanted: Dict[TreeEntry, List[Folder]]) -> None:
    """Write each file into the folders that need it."""
    for entry, folders in wanted.items():
        if entry.mode == _SUBMODULE:
            for folder in folders:
                folder.make(entry.path)
    entries = [entry for entry in wanted if entry.mode != _SUBMODULE]
    contents = blobs.read([entry.blob for entry in entries])
    for entry in entries:
        size, chunks = next(contents)
        _write(size, chunks, entry, wanted[entry])


def _write(size: int, chunks: Iterable[bytes], entry: TreeEntry, folders: List[Folder]) -> None:
    if entry.mode == _LINK:
        target = b"".join(chunks)
        for folder in folders:
            os.symlink(target, folder.path_for(entry.path))
        return
    mode = 0o777 if entry.mode == _PROGRAM else 0o666
    if size > CHUNK:
        _write_large(chunks, [folder.path_for(entry.path) for folder in folders], mode)
        return
    data = b"".join(chunks)
    for folder in folders:
        _write_small(data, folder.path_for(entry.path), mode)


def _write_small(data: bytes, path: bytes, mode: int) -> None:
    target = os.open(path, _CREATE, mode)
    try:
        write_all(target, data)
    finally:
        os.close(target)


def _write_large(chunks: Iterable[bytes], into: List[bytes], mode: int) -> None:
    with contextlib.ExitStack() as stack:
        targets = []
        for path in into:
            targets.append(os.open(path, _CREATE, mode))
            stack.callback(os.close, targets[-1])
        for chunk in chunks:
            for target in targets:
                write_all(target, chunk)


class SharedPaths:
    """A base commit's files: which run directories get copies of, and which they link to.

    `shared` maps each shared path to its files; their copies are below `folder`. Files and folders
    in `left_out` are not copied into run directories.
    """

    def __init__(
        self,
        folder: str,
        shared: Iterable[bytes],
        entries: List[TreeEntry],
        left_out: Iterable[bytes] = (),
    ) -> None:
        self._folder = folder
        self._left_out = frozenset(left_out)
        self._copied: List[TreeEntry] = []
        self.shared: Dict[bytes, List[TreeEntry]] = {path: [] for path in shared}
        for entry in entries:
            owner = self._owner(entry.path)
            if owner is not None:
                self.shared[owner].append(entry)
            elif self._is_wanted(entry.path):
                self._copied.append(entry)

    def unchanged(self, changed: Iterable[bytes]) -> List[bytes]:
        """Return the shared paths in which a run has no changes."""
        touched = {self._owner(path) for path in changed}
        return [path for path in self.shared if path not in touched]

    def copied(self, linked: Iterable[bytes]) -> Iterator[TreeEntry]:
        """Return the files to copy if these paths are linked."""
        yield from self._copied
        for path in set(self.shared).difference(linked):
            yield from (entry for entry in self.shared[path] if self._is_wanted(entry.path))

    def copy_of(self, path: bytes) -> str:
        """Return the folder of a shared path's copy."""
        return os.path.join(self._folder, hashlib.sha256(path).hexdigest()[:12])

    def target(self, path: bytes) -> bytes:
        """Return what a link to a shared path points to."""
        return os.path.join(os.fsencode(self.copy_of(path)), path)

    def _is_wanted(self, path: bytes) -> bool:
        return path not in self._left_out and self._left_out.isdisjoint(_above(path))

    def _owner(self, path: bytes) -> Optional[bytes]:
        """Return the shared path that contains a path."""
        while path and path not in self.shared:
            path = os.path.dirname(path)
        return path or None


def plan(
    folder: str, shared: List[str], entries: List[TreeEntry], left_out: Iterable[str] = ()
) -> SharedPaths:
    """Return the shared paths of a base commit with these files; their copies go into `folder`.

    Raises:
        AgentError: A path is not in the base commit.

    """
    named = {os.fsencode(path.rstrip("/")) for path in shared}
    topmost = (path for path in named if not _above(path) & named)
    made = SharedPaths(folder, topmost, entries, map(os.fsencode, left_out))
    for path, below in made.shared.items():
        if not below:
            name = os.fsdecode(path)
            message = f"shared path {name!r} is not in the base commit; use a path that is in it"
            raise AgentError("git", message)
    return made


def copy_shared(shared: SharedPaths, runs: str, blobs: Blobs, scratch: str) -> None:
    """Make the missing copies of shared paths."""
    for path, entries in shared.shared.items():
        copy = shared.copy_of(path)
        if not os.path.isdir(copy):
            built = os.path.join(scratch, ".shared-" + os.path.basename(copy))
            _build_copy(runs, entries, blobs, built)
            fs.make_common(runs, os.path.dirname(copy))
            _publish_copy(built, copy)


def _build_copy(runs: str, entries: List[TreeEntry], blobs: Blobs, built: str) -> None:
    check(entries)
    folder = Folder(built)
    fill(blobs, {entry: [folder] for entry in entries})
    for above, folders, names in os.walk(built, topdown=False):
        for name in [*folders, *names]:
            path = os.path.join(above, name)
            mode = os.lstat(path).st_mode
            if not stat.S_ISLNK(mode):
                os.chmod(path, stat.S_IMODE(mode) & ~0o222)
                fs.share(path, runs)
    fs.share(built, runs)


def _publish_copy(built: str, copy: str) -> None:
    try:
        os.rename(built, copy)
    except OSError:
        # another agent was faster; its copy has the same content
        if not os.path.isdir(copy):
            raise


def _above(path: bytes) -> Set[bytes]:
    """Return all parent folders of a path."""
    parts = path.split(b"/")
    return {b"/".join(parts[:count]) for count in range(1, len(parts))}
