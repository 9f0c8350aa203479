"""Fetching files: into a staging folder, then each into its place by one rename."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_remex import io
from pytest_remex.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

STAGING = ".remex-staging"


@dataclass(frozen=True, slots=True)
class Transferred:
    """How far a transfer is: files that are here, bytes that came, and bytes a second."""

    files: int
    bytes: int
    rate: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """Files to copy from the folder `source` into `staging`, with their times.

    `basis` holds what was fetched before; `progress` is told how far the copy is.
    """

    source: str
    names: Sequence[str]
    staging: Path
    basis: Path
    progress: Callable[[Transferred], None]


def checked(names: Iterable[str]) -> list[str]:
    """Give the names once each. Raises `RemoteError` for one that could leave its folder."""
    once = list(dict.fromkeys(names))
    for name in once:
        parts = name.split("/")
        if "\0" in name or not {"", ".", ".."}.isdisjoint(parts) or parts[0].startswith(STAGING):
            raise RemoteError(f"{name!r} is no path of a file in the runs folder: not fetched")
    return once


def fetch(
    copy: Callable[[Wanted], None],
    source: str,
    names: Sequence[str],
    destination: Path,
    progress: Callable[[Transferred], None],
) -> list[str]:
    """Let `copy` put the files into a staging folder, and rename them into `destination`.

    Gives the names that `copy` did not put there. Where `copy` raises, what it had finished is
    put in its place all the same; parts of files stay in the staging folder, for the next time.
    """
    try:
        destination.mkdir(parents=True, exist_ok=True)
        with _staging(destination) as staging:
            for name in names:  # left by a fetch that was killed, and perhaps old by now
                (staging / name).unlink(missing_ok=True)
            try:
                copy(Wanted(source, names, staging, destination, progress))
            finally:
                missing = _publish(names, staging, destination)
            shutil.rmtree(staging)
    except OSError as error:
        raise unwritable(destination, error) from error
    return missing


def unwritable(path: Path, error: OSError) -> RemoteError:
    """Say that nothing can be written here, and the mend."""
    return RemoteError(io.unwritable(path, error))


def told_full(words: str, path: Path) -> RemoteError | None:
    """Give the error that a program which writes to `path` told in its own words."""
    said = (number for number in io.FULL if os.strerror(number) in words)
    return next((unwritable(path, OSError(number, os.strerror(number))) for number in said), None)


@contextlib.contextmanager
def _staging(destination: Path) -> Iterator[Path]:
    """Give the staging folder that the last fetch may have left; a new one while another runs."""
    shared = destination / STAGING
    Folders(destination).make((STAGING,))
    lock = os.open(shared, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if _locked(lock) and shared.exists() and os.path.samestat(shared.stat(), os.fstat(lock)):
            yield shared
        else:
            yield Path(tempfile.mkdtemp(prefix=f"{STAGING}-", dir=destination))
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    """Whether the lock is ours; some network file systems have none."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _publish(names: Iterable[str], staging: Path, destination: Path) -> list[str]:
    """Rename what was staged into its place; give the names of what was not."""
    missing = []
    folders = Folders(destination)
    for name in names:
        staged = staging / name
        if not staged.is_file() or staged.is_symlink():
            missing.append(name)
            continue
        *parts, last = name.split("/")
        target = folders.make(tuple(parts)) / last
        try:
            staged.replace(target)
        except OSError as error:
            raise RemoteError(f"{target} is in the way ({error.strerror}): move it") from error
    return missing


@dataclass(frozen=True, slots=True)
class Folders:
    """Makes folders below `root`, and never goes through a link that lies in the way."""

    root: Path
    made: dict[tuple[str, ...], Path] = field(default_factory=dict)

    def make(self, parts: tuple[str, ...]) -> Path:
        """Give the folder, new or there before. Raises `RemoteError` where it is something else."""
        if not parts:
            return self.root
        if parts not in self.made:
            folder = self.make(parts[:-1]) / parts[-1]
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
            if not stat.S_ISDIR(folder.lstat().st_mode):
                raise RemoteError(f"{folder} is no folder of its own (a link?): move it away")
            self.made[parts] = folder
        return self.made[parts]
