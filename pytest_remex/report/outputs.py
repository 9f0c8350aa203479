"""What a report contains of the outputs: thumbnails in the page, and a zip with all outputs."""

from __future__ import annotations

import io
import os
import shutil
import warnings
from base64 import b64encode
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile

from pytest_remex.common.files import open_regular, read_up_to
from pytest_remex.report.columns import href

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

    from pytest_remex.report.page import Page

BUDGET = 6_000_000
"""The most bytes of thumbnails in a page."""
ZIP_BUDGET = 2_000_000_000
"""The most bytes of outputs in a zip, before compression."""
SIDE = 320
"""The longer side of a thumbnail, in pixels."""
SMALL = 40_000
"""Images of up to this many bytes are put into the page unchanged."""
LARGEST = 50_000_000
"""Files with more bytes, and images with more pixels, are not read."""
_TYPES = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".gif": "gif",
    ".svg": "svg+xml",
    ".webp": "webp",
}


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """Thumbnails as data URLs, by the image's link, and how many images have none."""

    inside: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0

    @property
    def note(self) -> str:
        """A sentence about the page's images."""
        if not self.inside and not self.left_out:
            return ""
        size = sum(map(len, self.inside.values())) / 1e6
        text = f"{len(self.inside)} small images are inside this page ({size:.1f} MB"
        text += f" of at most {BUDGET / 1e6:.0f} MB)"
        return f"{text}; {self.left_out} more are only linked." if self.left_out else f"{text}."


def thumbnails(folder: Path, page: Page, root: Path, budget: int = BUDGET) -> Thumbnails:
    """Return small copies of the page's images: the first of every row, then the second...

    Args:
        folder: Where the page lies; the images' paths are relative to it.
        page: The page.
        root: No image outside of this folder is read.
        budget: Bytes of all copies together.
    """
    inside: dict[str, str] = {}
    left_out = 0
    resolved = root.resolve()
    for path in _in_turn(page):
        content = b"" if budget <= 0 else read_inside(folder / path, resolved)
        kind, copy = _small(path, content)
        if copy and len(copy) * 4 // 3 <= budget:
            inside[href(path)] = f"data:image/{kind};base64,{b64encode(copy).decode()}"
            budget -= len(copy) * 4 // 3
        else:
            left_out += 1
            budget = 0 if copy else budget
    return Thumbnails(inside, left_out)


def _in_turn(page: Page) -> Iterable[str]:
    turns = zip_longest(*(row.images for row in page.rows))
    return dict.fromkeys(path for turn in turns for path in turn if path and href(path))


def read_inside(path: Path, root: Path) -> bytes:
    """Return the bytes of a regular file below `root`; b"" if it is not one, or too large."""
    file = open_inside(path, root)
    if file is None:
        return b""
    with file:
        content = read_up_to(file, LARGEST + 1)
    return content if len(content) <= LARGEST else b""


def open_inside(path: Path, root: Path) -> BinaryIO | None:
    """Open a regular file below `root`, a resolved path; None if it is none.

    Links are not followed out of `root`, and nothing waits for the other end of a pipe.
    """
    try:
        if not path.resolve().is_relative_to(root):
            return None
        handle = open_regular(path)
    except (OSError, ValueError):
        return None
    return None if handle is None else os.fdopen(handle, "rb")


def _small(path: str, content: bytes) -> tuple[str, bytes]:
    """Return the type and the bytes of an image's small copy; no bytes if there is none."""
    kind = _TYPES.get(PurePosixPath(path).suffix.lower(), "")
    if not kind or not content:
        return "", b""
    pillow = _pillow()
    if kind != "svg+xml" and pillow:
        return "webp", _reduced(pillow, content)
    return kind, content if len(content) <= SMALL else b""


@cache
def _pillow() -> ModuleType | None:
    """Return Pillow; without it, only images that are small already go into the page."""
    try:
        return import_module("PIL.Image")
    except ImportError:
        return None


def _reduced(pillow: ModuleType, content: bytes) -> bytes:
    bombs = (pillow.DecompressionBombWarning, pillow.DecompressionBombError)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pillow.DecompressionBombWarning)
        try:
            return _thumbnail(pillow, content)
        except (OSError, ValueError, SyntaxError, *bombs):
            return b""


def _thumbnail(pillow: ModuleType, content: bytes) -> bytes:
    with pillow.open(io.BytesIO(content)) as image:
        if image.width * image.height > LARGEST:
            return b""
        image.draft("RGB", (SIDE, SIDE))
        image.thumbnail((SIDE, SIDE))
        target = io.BytesIO()
        mode = "RGBA" if image.has_transparency_data else "RGB"
        image.convert(mode).save(target, "WEBP", quality=75)
        return target.getvalue()


@dataclass(frozen=True, slots=True)
class Portable:
    """The content of a zip: number of files, number of bytes, and the outputs that are left out."""

    files: int
    size: int
    left_out: tuple[str, ...]


def write_portable(
    archive: Path, report: Path, page: Page, root: Path, budget: int = ZIP_BUDGET
) -> Portable:
    """Write a zip of a report and of the outputs that it links to, so that its links lead there.

    Args:
        archive: The zip to write or replace.
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
    """Copy a file into a zip and return its size; None if it is none or too large."""
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
