"""Shared paths: one read-only copy per base commit, which run directories link to."""

import hashlib
import os
import stat
from typing import Dict, Iterable, Iterator, List, Optional, Set

from pytest_remex.agent import fs
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.place import stage
from pytest_remex.agent.place.objects import Blobs, TreeEntry


class Plan:
    """A base commit's files: what is copied into each run directory, and what is linked there.

    `shared` maps each shared path to its files; their copies lie below `folder`.
    """

    def __init__(self, folder: str, shared: Iterable[bytes], entries: List[TreeEntry]) -> None:
        self._folder = folder
        self._copied: List[TreeEntry] = []
        self.shared: Dict[bytes, List[TreeEntry]] = {path: [] for path in shared}
        for entry in entries:
            owner = self._owner(entry.path)
            (self._copied if owner is None else self.shared[owner]).append(entry)

    def linked(self, changed: Iterable[bytes]) -> List[bytes]:
        """Give the shared paths in which a run changes nothing."""
        touched = {self._owner(path) for path in changed}
        return [path for path in self.shared if path not in touched]

    def entries(self, linked: Iterable[bytes]) -> Iterator[TreeEntry]:
        """Give the files that are copied when these paths are linked."""
        yield from self._copied
        for path in set(self.shared).difference(linked):
            yield from self.shared[path]

    def home(self, path: bytes) -> str:
        """Name the folder of a shared path's copy."""
        return os.path.join(self._folder, hashlib.sha256(path).hexdigest()[:12])

    def target(self, path: bytes) -> bytes:
        """Give what a link to a shared path points to."""
        return os.path.join(os.fsencode(self.home(path)), path)

    def _owner(self, path: bytes) -> Optional[bytes]:
        """Give the shared path that holds a path."""
        while path and path not in self.shared:
            path = os.path.dirname(path)
        return path or None


def plan(folder: str, shared: List[str], entries: List[TreeEntry]) -> Plan:
    """Check the shared paths against the base commit's files; `folder` is for their copies."""
    named = {os.fsencode(path.rstrip("/")) for path in shared}
    made = Plan(folder, (path for path in named if not _above(path) & named), entries)
    for path, below in made.shared.items():
        if not below:
            name = os.fsdecode(path)
            message = f"shared path {name!r} is not in the base commit; name a file or folder of it"
            raise AgentError("git", message)
    return made


def keep(plan: Plan, runs: str, blobs: Blobs, scratch: str) -> None:
    """Make the copies that are not there yet."""
    for path, entries in plan.shared.items():
        home = plan.home(path)
        if not os.path.isdir(home):
            built = os.path.join(scratch, ".shared-" + os.path.basename(home))
            _build(entries, blobs, built)
            fs.make_common(runs, os.path.dirname(home))
            _publish(built, home)


def _build(entries: List[TreeEntry], blobs: Blobs, built: str) -> None:
    stage.check(entries)
    folder = stage.Folder(built)
    stage.fill(blobs, {entry: [folder] for entry in entries})
    for above, folders, names in os.walk(built, topdown=False):
        for name in [*folders, *names]:
            path = os.path.join(above, name)
            mode = os.lstat(path).st_mode
            if not stat.S_ISLNK(mode):
                os.chmod(path, stat.S_IMODE(mode) & ~0o222)


def _publish(built: str, home: str) -> None:
    try:
        os.rename(built, home)
    except OSError:
        # another agent was faster; its copy is of the same commit
        if not os.path.isdir(home):
            raise


def _above(path: bytes) -> Set[bytes]:
    """Give the folders that a path lies in."""
    parts = path.split(b"/")
    return {b"/".join(parts[:count]) for count in range(1, len(parts))}
