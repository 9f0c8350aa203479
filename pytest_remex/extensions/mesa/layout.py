"""The first lines of MESA's output files.

Numbers of the header's columns, their names, their values, a blank line, numbers and names of the
columns; then the rows. Source: star/private/history.f90 and profile.f90 of MESA.
"""

from __future__ import annotations

import gzip
import re
import zlib
from itertools import count
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEADER_LINES = 6
_LONGEST_LINE = 1 << 20
_GZIP = b"\x1f\x8b"
_WORD = re.compile(r"'[^']*'|\"[^\"]*\"|\S+")


class Header(NamedTuple):
    """What stands above the rows: names and words of the header, and the columns' names."""

    names: tuple[str, ...]
    words: str
    columns: tuple[str, ...]

    def values(self) -> dict[str, str]:
        """Return the header's values as they are written, by name."""
        return dict(zip(self.names, _WORD.findall(self.words), strict=False))


def open_table(path: Path) -> BinaryIO:
    """Open a file for reading, through gzip where its first bytes say so; raises `OSError`."""
    return cast("BinaryIO", gzip.open(path)) if is_packed(path) else path.open("rb")


def is_packed(path: Path) -> bool:
    """Whether a file begins as gzip's do; raises `OSError`."""
    with path.open("rb") as file:
        return file.read(len(_GZIP)) == _GZIP


def read_header(file: BinaryIO) -> Header | None:
    """Read the lines above the rows; None, at any place of the file, where it has no such layout.

    Raises `OSError`, and what gzip raises, where the file cannot be read.
    """
    lines: list[bytes] = []
    for _ in range(HEADER_LINES):
        line = file.readline(_LONGEST_LINE)
        lines.append(line)
        if not line.endswith(b"\n") or not _may_follow(lines):
            return None
    texts = [line.decode("utf-8", "replace") for line in lines]
    return Header(tuple(texts[1].split()), texts[2], tuple(texts[5].split()))


def header_of(path: Path) -> Header | None:
    """Read a file's first lines; None where they are not MESA's, or cannot be read."""
    try:
        with open_table(path) as file:
            return read_header(file)
    except (OSError, EOFError, zlib.error):
        return None


def numbers_of(columns: Sequence[object]) -> list[bytes]:
    """Return the words of the line that numbers columns: 1, 2, ..."""
    return [b"%d" % number for number, _ in zip(count(1), columns, strict=False)]


def _may_follow(lines: Sequence[bytes]) -> bool:
    """Whether the last of the lines is as it is in MESA's files, given those above it."""
    match len(lines):
        case 1 | 5:
            words = lines[-1].split()
            return bool(words) and words == numbers_of(words)
        case 2 | 6:
            return len(lines[-1].split()) == len(lines[-2].split())
        case 4:
            return not lines[-1].strip()
        case _:
            return True
