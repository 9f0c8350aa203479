"""Fetching files into a staging folder, from which each is renamed to its place."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex import io
from pytest_remex.common.files import is_regular
from pytest_remex.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

STAGING = ".remex-staging"


class TransferProgress(NamedTuple):
    """How far a transfer is: complete files, bytes received, and bytes per second."""

    files: int
    bytes: int
    rate: float

    @classmethod
    def since(cls, begun: float, files: int, size: int) -> TransferProgress:
        """Return the progress of a transfer that was begun at a time of the monotonic clock."""
        return cls(files, size, size / max(time.monotonic() - begun, 1e-3))


class Transfer(NamedTuple):
    """Files to copy, with their modification times.

    Attributes:
        source: The folder to copy from.
        names: Their paths, relative to `source`.
        staging: The folder to copy into.
        destination: The folder with the files of earlier transfers.
        report: Called now and then with the progress.
    """

    source: str
    names: Sequence[str]
    staging: Path
    destination: Path
    report: Callable[[TransferProgress], None]


def check_names(names: Iterable[str]) -> list[str]:
    """Return the names without duplicates.

    Raises:
        RemoteError: A name could lead out of its folder.
    """
    unique = list(dict.fromkeys(names))
    for name in unique:
        parts = name.split("/")
        if "\0" in name or not {"", ".", ".."}.isdisjoint(parts) or parts[0].startswith(STAGING):
            raise RemoteError(f"{name!r} is not the path of a file in the runs folder: not fetched")
    return unique


def fetch(
    copy: Callable[[Transfer], None],
    source: str,
    names: Sequence[str],
    destination: Path,
    report: Callable[[TransferProgress], None],
) -> list[str]:
    """Let `copy` put files into a staging folder, and rename them into `destination`.

    If `copy` raises, the files that it completed are renamed all the same; parts of files stay in
    the staging folder for the next time.

    Args:
        copy: Copies files, and skips those that are missing.
        source: See `Transfer`.
        names: Names that `check_names` returned.
        destination: Where the files belong; made if it is missing.
        report: See `Transfer`.

    Returns:
        The names that `copy` skipped.

    Raises:
        RemoteError: A file cannot be written. Errors of `copy` are passed on.
    """
    try:
        destination.mkdir(parents=True, exist_ok=True)
        with _staging_folder(destination) as staging:
            refuse_one_file(names, staging)
            if any(staging.iterdir()):
                for name in names:  # a fetch that was killed may have left old files
                    (staging / name).unlink(missing_ok=True)
            try:
                copy(Transfer(source, names, staging, destination, report))
            finally:
                missing = _publish(names, staging, destination)
            shutil.rmtree(staging)
    except OSError as error:
        raise unwritable(destination, error) from error
    return missing


def is_one_file(folder: Path, name: str, other: str) -> bool:
    """Return whether two names are the same file in the file system of a folder."""
    pairs = zip(name.split("/"), other.split("/"), strict=True)
    with tempfile.TemporaryDirectory(prefix="names-", dir=folder) as probe:
        for one, two in pairs:
            (Path(probe) / one).touch()
            if one != two and not (Path(probe) / two).exists():
                return False
    return True


def refuse_one_file(
    names: Iterable[str], folder: Path, is_one: Callable[[Path, str, str], bool] = is_one_file
) -> None:
    """Refuse names that would be the same file here, as on Macs.

    Raises:
        RemoteError: Two names differ only in case or in Unicode normalization, and the file system
            of `folder` ignores that.
    """
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())
        other = seen.setdefault(folded, name)
        if other != name and is_one(folder, other, name):
            raise RemoteError(
                f"{other!r} and {name!r} would be the same file in {folder.parent}, on a file "
                f"system that ignores their difference: fetch only one of them, or set "
                f"remex_output to a folder on another file system"
            )


def unwritable(path: Path, error: OSError) -> RemoteError:
    """Return the error for a path here that cannot be written, with the fix."""
    return RemoteError(io.unwritable(path, error))


def disk_full(stderr: str, path: Path) -> RemoteError | None:
    """Return the error for a full disk, if a program that writes to `path` reported one."""
    reported = (number for number in io.FULL if os.strerror(number) in stderr)
    errors = (unwritable(path, OSError(number, os.strerror(number))) for number in reported)
    return next(errors, None)


@contextlib.contextmanager
def _staging_folder(destination: Path) -> Iterator[Path]:
    """Yield the usual staging folder; a new one if another process uses that."""
    shared = destination / STAGING
    FolderMaker(destination).make((STAGING,))
    lock = os.open(shared, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if _lock(lock) and shared.exists() and os.path.samestat(shared.stat(), os.fstat(lock)):
            yield shared
        else:
            yield Path(tempfile.mkdtemp(prefix=f"{STAGING}-", dir=destination))
    finally:
        os.close(lock)


def _lock(folder: int) -> bool:
    """Lock an open folder; return whether it worked: some network file systems have no locks."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _publish(names: Iterable[str], staging: Path, destination: Path) -> list[str]:
    """Rename the staged files to their places; return the names that are not staged."""
    missing = []
    folders = FolderMaker(destination)
    for name in names:
        staged = f"{staging}/{name}"
        if not is_regular(staged):
            missing.append(name)
            continue
        *parts, last = name.split("/")
        target = f"{folders.make(tuple(parts))}/{last}"
        try:
            os.replace(staged, target)  # noqa: PTH105 - for each file: Path takes twice as long
        except OSError as error:
            raise RemoteError(f"{target} is in the way ({error.strerror}): move it away") from error
    return missing


@dataclass(frozen=True, slots=True)
class FolderMaker:
    """Makes folders below `root`, never through a symbolic link; `made` are those it made."""

    root: Path
    made: dict[tuple[str, ...], Path] = field(default_factory=dict)

    def make(self, parts: tuple[str, ...]) -> Path:
        """Return the folder at `parts` below the root, made if it is missing.

        Raises:
            RemoteError: Something else is there.
        """
        if not parts:
            return self.root
        if parts not in self.made:
            folder = self.make(parts[:-1]) / parts[-1]
            try:
                folder.mkdir()
            except FileExistsError:
                _refuse_no_folder(folder)
            self.made[parts] = folder
        return self.made[parts]


def _refuse_no_folder(path: Path) -> None:
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise RemoteError(f"{path} is not a folder, or is a symbolic link: move it away")
