"""A zip to mail: a report together with the outputs that it links to."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile

from pytest_remex.report.images import open_inside

if TYPE_CHECKING:
    from pytest_remex.report.page import Page

BUDGET = 2_000_000_000
"""Bytes of outputs, before they are compressed, that a zip holds."""


@dataclass(frozen=True, slots=True)
class Portable:
    """What a zip holds: so many files, so many bytes, and the outputs that are left out of it."""

    files: int
    size: int
    left_out: tuple[str, ...]


def write_portable(
    archive: Path, report: Path, page: Page, root: Path, budget: int = BUDGET
) -> Portable:
    """Write a zip of a report and of the outputs that it links to, so that its links lead there.

    Args:
        archive: The zip to write, in place of what was there.
        report: The report, already written.
        page: What it shows.
        root: The output folder that the report and its outputs lie in; the zip's names begin
            there. What lies outside, is no regular file or is too large is left out.
        budget: Bytes of outputs that go in, before they are compressed.

    Raises:
        OSError: The report cannot be read, or the zip cannot be written.
        ValueError: The report does not lie below `root`.
    """
    top, left_out, size, files = root.resolve(), [], 0, 1
    draft = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        with ZipFile(draft, "w", ZIP_DEFLATED) as into:
            into.write(report, report.resolve().relative_to(top))
            for path in _linked(page):
                name = os.path.relpath(os.path.normpath(report.resolve().parent / path), top)
                taken = _take(report.parent / path, top, into, name, most=budget - size)
                if taken is None:
                    left_out.append(path)
                else:
                    size, files = size + taken, files + 1
        draft.replace(archive)
    finally:
        draft.unlink(missing_ok=True)
    return Portable(files, size, tuple(left_out))


def _take(path: Path, root: Path, into: ZipFile, name: str, *, most: int) -> int | None:
    """Copy a file into a zip and return its size; None where it is none or too large."""
    file = open_inside(path, root)
    if file is None:
        return None
    with file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            return None
        with into.open(
            os.fsencode(name).decode("utf-8", "replace"), "w", force_zip64=True
        ) as target:
            shutil.copyfileobj(file, target)
    return size


def _linked(page: Page) -> list[str]:
    paths = (path for row in page.rows for path in (*(to for _, to in row.outputs), *row.images))
    return list(dict.fromkeys(path for path in paths if not Path(path).is_absolute()))
