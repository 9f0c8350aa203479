"""Write run directories file by file: each blob is read once and written to all that want it."""

import contextlib
import os
from typing import Dict, Iterable, List, Set

from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.place.objects import CHUNK, Blobs, TreeEntry

GONE = b"000000"
_LINK = b"120000"
_SUBMODULE = b"160000"
_PROGRAM = b"100755"
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_OURS = b".remex"


class Folder:
    """A folder to be filled; makes the folders that its files need."""

    def __init__(self, path: str) -> None:
        self._path = os.fsencode(path)
        self._made: Set[bytes] = {b""}
        os.mkdir(self._path)

    def place_for(self, path: bytes) -> bytes:
        """Give where a file goes, once the folders on the way are there."""
        self.make(os.path.dirname(path))
        return os.path.join(self._path, path)

    def make(self, folder: bytes) -> None:
        """Make a folder and those above it."""
        if folder not in self._made:
            self.make(os.path.dirname(folder))
            os.mkdir(os.path.join(self._path, folder))
            self._made.add(folder)


def check(entries: Iterable[TreeEntry]) -> None:
    """Raise an error of kind git for paths that would leave the run directory, or clash with it."""
    for entry in entries:
        parts = entry.path.split(b"/")
        if any(part in (b"", b".", b"..") or part.lower() == b".git" for part in parts):
            message = f"a commit holds the path {os.fsdecode(entry.path)!r}; take it out"
            raise AgentError("git", message)
        if parts[0] == _OURS:
            message = "a commit holds .remex, which pytest-remex keeps for itself; take it out"
            raise AgentError("git", message)


def fill(blobs: Blobs, wanted: Dict[TreeEntry, List[Folder]]) -> None:
    """Write each file into the folders that want it."""
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
            os.symlink(target, folder.place_for(entry.path))
        return
    mode = 0o777 if entry.mode == _PROGRAM else 0o666
    if size > CHUNK:
        _write_large(chunks, [folder.place_for(entry.path) for folder in folders], mode)
        return
    data = b"".join(chunks)
    for folder in folders:
        _write_small(data, folder.place_for(entry.path), mode)


def _write_small(data: bytes, path: bytes, mode: int) -> None:
    target = os.open(path, _CREATE, mode)
    try:
        _write_all(target, data)
    finally:
        os.close(target)


def _write_large(chunks: Iterable[bytes], places: List[bytes], mode: int) -> None:
    with contextlib.ExitStack() as stack:
        targets = []
        for place in places:
            targets.append(os.open(place, _CREATE, mode))
            stack.callback(os.close, targets[-1])
        for chunk in chunks:
            for target in targets:
                _write_all(target, chunk)


def _write_all(target: int, data: bytes) -> None:
    written = os.write(target, data)
    while written < len(data):
        written += os.write(target, data[written:])
