"""Shared paths: one read-only copy per base commit, which run directories link to."""

import hashlib
import os
import stat
from typing import Container, Dict, Iterator, List

from . import objects, paths, stage
from .faults import AgentError


class Plan:
    """A base commit's files, and which of them are shared."""

    def __init__(self, entries: List[objects.Entry], shared: List[bytes]) -> None:
        self._entries = entries
        self.shared = shared
        self._targets: Dict[bytes, str] = {}

    def below(self, path: bytes) -> List[objects.Entry]:
        """Give the files at or below a path."""
        return [entry for entry in self._entries if _covers(path, entry.path)]

    def linked(self, changed: Container[bytes]) -> List[bytes]:
        """Give the shared paths in which a run changes nothing."""
        touched = list(changed)  # type: ignore[call-overload]
        return [p for p in self.shared if not any(_covers(p, other) for other in touched)]

    def entries(self, linked: List[bytes]) -> Iterator[objects.Entry]:
        """Give the files that are copied when these paths are linked."""
        for entry in self._entries:
            if not any(_covers(path, entry.path) for path in linked):
                yield entry

    def target(self, path: bytes) -> bytes:
        """Give what a link to a shared path points to."""
        return os.fsencode(self._targets[path])

    def set_target(self, path: bytes, target: str) -> None:
        """Note where a shared path's copy lies."""
        self._targets[path] = target


def plan(entries: List[objects.Entry], shared: List[str]) -> Plan:
    """Check the shared paths against the base commit's files."""
    wanted = sorted({os.fsencode(path.rstrip("/")) for path in shared})
    outer = [p for p in wanted if not any(_covers(other, p) for other in wanted if other != p)]
    made = Plan(entries, outer)
    for path in outer:
        if not made.below(path):
            name = os.fsdecode(path)
            message = f"shared path {name!r} is not in the base commit; name a file or folder of it"
            raise AgentError("git", message)
    return made


def keep(plan: Plan, runs: str, sha: str, blobs: objects.Blobs, scratch: str) -> None:
    """Make the copies that are not there yet."""
    for path in plan.shared:
        name = hashlib.sha256(path).hexdigest()[:12]
        home = os.path.join(paths.base(runs, sha), name)
        plan.set_target(path, os.path.join(home, os.fsdecode(path)))
        if not os.path.isdir(home):
            built = os.path.join(scratch, ".shared-" + name)
            _build(plan.below(path), blobs, built)
            _publish(built, home)


def _build(entries: List[objects.Entry], blobs: objects.Blobs, built: str) -> None:
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
    os.makedirs(os.path.dirname(home), exist_ok=True)
    try:
        os.rename(built, home)
    except OSError:
        # another agent was faster; its copy is of the same commit
        if not os.path.isdir(home):
            raise


def _covers(path: bytes, other: bytes) -> bool:
    return other == path or other.startswith(path + b"/")
