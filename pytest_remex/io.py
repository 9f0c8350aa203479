"""Write files atomically, with one error message for files that cannot be written."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_remex.errors import RecordError
from pytest_remex.known_files import write_file

AGAIN = "run the same command again"
"""Every mode can be run again at any time: it finds out how far the last one got, and continues."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""The errors of a full disk, and of a used-up quota."""

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""The errors of a file system without file locks, such as some network file systems."""


def unwritable(what: object, error: OSError, otherwise: str = "fix that") -> str:
    """Return the message that `what` cannot be written.

    Args:
        what: A path, or words that end in one.
        error: The error from the operating system.
        otherwise: How to fix it if the disk is not full.

    """
    fix = "free some space there" if error.errno in FULL else otherwise
    if error.errno in NO_LOCKS:
        fix = "files cannot be locked there: set remex_output to a folder on another file system"
    return f"{what} cannot be written ({error.strerror or error}): {fix}, and {AGAIN}"


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Make a folder the working directory meanwhile, even if the one before was removed."""
    before = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
    try:
        os.chdir(folder)
        try:
            yield
        finally:
            os.fchdir(before)
    finally:
        os.close(before)


@contextmanager
def writing(what: object) -> Iterator[None]:
    """Convert any `OSError` while writing `what` to a `RecordError` with `unwritable`'s message."""
    try:
        yield
    except OSError as error:
        raise RecordError(unwritable(what, error)) from error


@contextmanager
def reading(what: object) -> Iterator[None]:
    """Convert any `OSError` while reading `what` to a `RecordError` that names it."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise RecordError(f"{what} cannot be read ({why}): fix that, and {AGAIN}") from error


def replace_file(path: Path, text: str, errors: str = "strict") -> None:
    """Write a file as UTF-8, atomically: readers see either the old or the new content.

    Raises:
        RecordError: The file cannot be written; the old one is kept.

    """
    with writing(path):
        replace_text(path, text, errors)


def replace_text(path: Path, text: str, errors: str = "strict") -> None:
    """Write a file as UTF-8, atomically, as `replace_file` does; raises `OSError`."""
    draft = f"{path.parent}/.{path.name}.{os.getpid()}"
    try:
        write_file(draft, text.encode("utf-8", errors))
        os.replace(draft, path)  # noqa: PTH105 - for each run: Path takes several times as long
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def prepare_output_folder(folder: Path) -> None:
    """Make the output folder, with a .gitignore that excludes it from git.

    Raises:
        RecordError: It cannot be made.

    """
    ignore = folder / ".gitignore"
    try:
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            # a runs folder in it may not be writable for everyone
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) & ~stat.S_IWOTH)
        if not ignore.exists():
            replace_text(ignore, "# made by pytest-remex\n*\n")
    except OSError as error:
        otherwise = "move away what is in its place or choose another folder (remex_output)"
        raise RecordError(unwritable(folder, error, otherwise)) from None


def sync_folder(folder: Path) -> None:
    """Flush the names of a folder's files to the disk. Raises `OSError` if that fails."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # the file system cannot flush folders, as on SMB mounts
            raise
    finally:
        os.close(descriptor)
