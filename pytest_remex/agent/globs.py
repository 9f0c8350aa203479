"""Find files below a folder by pattern, never following a link and never leaving the folder."""

import fnmatch
import os
import stat
from typing import Iterator, List, NamedTuple

from pytest_remex.agent.errors import AgentError
from pytest_remex.common.paths import KEEP

_MAGIC = frozenset("*?[")


class Found(NamedTuple):
    """A file or a link, by its path relative to the folder."""

    path: str
    link: bool
    size: int
    mtime_ns: int


def find(folder: str, pattern: str) -> Iterator[Found]:
    """Give what a pattern matches, as pathlib's glob reads it; a folder means all below it.

    `.remex` is matched only by its name.
    """
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if ".." in parts or pattern.startswith("/"):
        raise AgentError(
            "request", f"pattern {pattern!r} leaves the run directory; make it relative"
        )
    yield from _match(folder, "", parts)


def _match(folder: str, path: str, parts: List[str]) -> Iterator[Found]:
    try:
        about = os.lstat(os.path.join(folder, path))
    except OSError:
        return
    if stat.S_ISLNK(about.st_mode):
        yield Found(path, link=True, size=about.st_size, mtime_ns=about.st_mtime_ns)
    elif stat.S_ISDIR(about.st_mode):
        yield from _match_below(folder, path, parts or ["**"])
    elif stat.S_ISREG(about.st_mode) and parts in ([], ["**"]):
        yield Found(path, link=False, size=about.st_size, mtime_ns=about.st_mtime_ns)


def _match_below(folder: str, path: str, parts: List[str]) -> Iterator[Found]:
    head, rest = parts[0], parts[1:]
    if head == "**":
        if rest:
            yield from _match_below(folder, path, rest)
        for name in _names(folder, path):
            yield from _match(folder, os.path.join(path, name), parts)
    elif _MAGIC.isdisjoint(head):
        yield from _match(folder, os.path.join(path, head), rest)
    else:
        for name in _names(folder, path):
            if fnmatch.fnmatchcase(name, head):
                yield from _match(folder, os.path.join(path, name), rest)


def _names(folder: str, path: str) -> List[str]:
    try:
        names = os.listdir(os.path.join(folder, path))
    except OSError:
        return []
    return sorted(name for name in names if name != KEEP)
