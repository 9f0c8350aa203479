"""Files that are read for each experiment, and are nearly always the same.

A file is read again only if its stat has changed. Two edits within one tick of the clock can leave
the same stat, so what is read soon after a change is not kept (git calls such files racily clean).
What was computed from files is computed again only if one of them has changed. Files are read and
written whole, with a third of the system calls that `open` needs.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

from pytest_remex.common.files import write_all

T = TypeVar("T")
Signature: TypeAlias = tuple[int, int, int, int, int, int]
"""Device, inode, mode, size, modification and change time (ns)."""
Lookup: TypeAlias = "tuple[Callable[..., object], tuple[object, ...]]"
"""A method of `Files`, and its arguments."""

SETTLED = 2_000_000_000
"""What changed this long (ns) before it was read has another stat after any later change."""
LARGEST = 1 << 20
"""Files of more bytes are not kept."""
MOST = 64
"""The most files, and the most results, that are kept."""
_READ = os.O_RDONLY | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CLOEXEC
MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP, errno.ENAMETOOLONG})
"""The errors of paths where there is no file."""


class _Result(NamedTuple):
    """What was computed, and the answers of the lookups that it was computed from."""

    seen: dict[Lookup, object]
    value: object


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """What is known of files from earlier lookups."""

    _contents: dict[tuple[str, int], tuple[Signature, bytes]] = field(default_factory=dict)
    _results: dict[Hashable, _Result] = field(default_factory=dict)

    def now(self) -> Files:
        """Return the files as they are now."""
        return Files(self)

    def content(self, path: str, status: os.stat_result, most: int) -> bytes:
        """Return a file's first bytes; `status` is its stat now."""
        found = _signature(status)
        key = path, most
        known = self._contents.get(key)
        if known is not None and known[0] == found:
            return known[1]
        read_at = time.time_ns()
        content = read_whole(os.open(path, _READ), most)
        settled = max(status.st_mtime_ns, status.st_ctime_ns) + SETTLED < read_at
        if settled and len(content) <= LARGEST:
            _keep(self._contents, key, (found, content))
        return content

    def result(self, key: Hashable) -> _Result | None:
        """Return the result that was kept under a key."""
        return self._results.get(key)

    def keep(self, key: Hashable, seen: dict[Lookup, object], value: object) -> None:
        """Keep a result, with what was seen for it."""
        _keep(self._results, key, _Result(seen, value))


class Files:
    r"""Files as they are at one moment: each is looked up once.

    Example:
        >>> files = KnownFiles().now()
        >>> files.content("run.sbatch")
        b'#!/bin/sh\n./star\n'

    """

    def __init__(self, known: KnownFiles) -> None:
        self._known = known
        self._status: dict[str, os.stat_result | None] = {}
        self._read: dict[tuple[str, int], bytes | None] = {}
        self._seen: dict[Lookup, object] = {}

    def is_file(self, path: str) -> bool:
        """Return whether there is a regular file at a path, or a link to one."""
        found = self._regular(path) is not None
        self._seen[Files.is_file, (path,)] = found
        return found

    def content(self, path: str, most: int = -1) -> bytes | None:
        """Return a file's bytes; None if there is no regular file.

        Args:
            path: The file.
            most: How many bytes to read, from the start; all of them by default.

        Raises:
            OSError: It cannot be read.

        """
        key = path, most
        if key not in self._read:
            status = self._regular(path)
            self._read[key] = None if status is None else self._known.content(path, status, most)
        self._seen[Files.content, key] = self._read[key]
        return self._read[key]

    def is_link(self, path: str) -> bool:
        """Return whether there is a symbolic link at a path."""
        found = os.path.islink(path)  # noqa: PTH114 - for speed
        self._seen[Files.is_link, (path,)] = found
        return found

    def identity(self, path: str) -> tuple[int, int] | None:
        """Return a file's device and inode, which are the same for all of its names."""
        status = self._regular(path)
        return None if status is None else (status.st_dev, status.st_ino)

    def computed(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what `compute` returns, or returned earlier if all that it reads is the same.

        Args:
            key: What the result depends on, besides files.
            compute: Computes it, and reads files only through this object.

        """
        known = self._known.result(key)
        if known is not None and self._confirms(known.seen):
            return cast("T", known.value)
        outer, self._seen = self._seen, {}
        try:
            value = compute()
            self._known.keep(key, self._seen, value)
        finally:
            outer.update(self._seen)
            self._seen = outer
        return value

    def _confirms(self, seen: dict[Lookup, object]) -> bool:
        """Return whether all lookups have the answers that they had."""
        for (method, arguments), answer in seen.items():
            if method(self, *arguments) != answer:
                return False
        return True

    def _regular(self, path: str) -> os.stat_result | None:
        if path not in self._status:
            status = _status(path)
            self._status[path] = status if status and stat.S_ISREG(status.st_mode) else None
        return self._status[path]


def read_whole(opened: int, most: int = -1) -> bytes:
    """Read an open file to its end, or only its first bytes, and close it. Raises `OSError`."""
    try:
        size = os.fstat(opened).st_size + 1 if most < 0 else most
        pieces = [os.read(opened, size)]
        while most < 0 and pieces[-1]:
            pieces.append(os.read(opened, size))
    finally:
        os.close(opened)
    return b"".join(pieces)


def read_file(path: str) -> bytes:
    """Return a file's bytes. Raises `OSError`."""
    return read_whole(os.open(path, _READ))


def create_file(path: bytes, content: bytes) -> None:
    """Write a new file. Raises `OSError`, also if there is one."""
    _write_whole(os.open(path, _WRITE | os.O_CREAT | os.O_EXCL, 0o666), content)


def write_file(path: str, content: bytes) -> None:
    """Write a file, a new one if there is none. Raises `OSError`."""
    _write_whole(os.open(path, _WRITE | os.O_CREAT | os.O_TRUNC, 0o666), content)


def overwrite_file(path: str, content: bytes) -> None:
    """Replace a file's bytes in its place. Raises `OSError`.

    The file is not truncated first: ext4 would wait for the disk when it is closed.
    """
    opened = os.open(path, _WRITE)
    try:
        write_all(opened, content)
        if os.fstat(opened).st_size > len(content):
            os.ftruncate(opened, len(content))
    finally:
        os.close(opened)


def _write_whole(opened: int, content: bytes) -> None:
    """Write an open file, and close it."""
    try:
        write_all(opened, content)
    finally:
        os.close(opened)


def files_now() -> Files:
    """Return the files as they are now, without any earlier lookup."""
    return KnownFiles().now()


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - as above
    except OSError as error:
        if error.errno not in MISSING:
            raise
    except ValueError:  # a NUL in the path
        pass
    return None


def _signature(status: os.stat_result) -> Signature:
    return (
        status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns,
        status.st_ctime_ns,
    )  # fmt: skip


def _keep(known: dict[Any, Any], key: Hashable, value: object) -> None:
    """Keep a value; of more than `MOST` the oldest goes."""
    if key not in known and len(known) >= MOST:
        del known[next(iter(known))]
    known[key] = value
