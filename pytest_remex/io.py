"""What a file that cannot be written is told as, on every floor: the path, why, and the mend."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_remex.errors import RecordError

AGAIN = "run the same command again"
"""Each mode may be run again at any time: it finds out how far the last one came, and goes on."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""The errors of a disk, or of a user's share of it, that has no room."""


def unwritable(what: object, error: OSError, otherwise: str = "mend that") -> str:
    """Say that `what`, a path, cannot be written; `otherwise` is the mend of what is not full."""
    mend = "free some space there" if error.errno in FULL else otherwise
    return f"{what} cannot be written ({error.strerror or error}): {mend}, and {AGAIN}"


@contextmanager
def writing(what: object) -> Iterator[None]:
    """Raise `RecordError` with the mend for any `OSError` while `what`, a path, is written."""
    try:
        yield
    except OSError as error:
        raise RecordError(unwritable(what, error)) from error


def prepare_output_folder(folder: Path) -> None:
    """Make the output folder, and keep it out of the user's repository.

    Raises `RecordError` where it cannot be made.
    """
    ignore = folder / ".gitignore"
    draft = folder / ".gitignore.new"  # a full disk would leave it empty
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not ignore.exists():
            draft.write_text("# made by pytest-remex\n*\n", "utf-8")
            draft.replace(ignore)
    except OSError as error:
        fix = "move away what is there or choose another output folder (remex_output)"
        raise RecordError(unwritable(folder, error, fix)) from None
