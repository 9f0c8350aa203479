"""The layout of MESA's output files: reads the header, and feeds the rows to a parser.

The lines are: numbers of the header's columns, their names, their values, a blank line, numbers of
the columns, their names; then the rows. Source: star/private/history.f90 and profile.f90 of MESA.
"""

from __future__ import annotations

import gzip
import re
import zlib
from itertools import count
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

HEADER_LINES = 6
LONGEST_LINE = 1 << 24
_LONGEST_HEADER = 1 << 20
_GZIP = b"\x1f\x8b"
_WORD = re.compile(r"'[^']*'|\"[^\"]*\"|\S+")


class TableHeader(NamedTuple):
    """The lines above the rows: names and words of the header, and the columns' names."""

    names: tuple[str, ...]
    words: str
    columns: tuple[str, ...]

    def values(self) -> dict[str, str]:
        """Return the header's values by name, as they are written."""
        return dict(zip(self.names, _WORD.findall(self.words), strict=False))


def open_table(path: Path) -> BinaryIO:
    """Open a file for reading, through gzip if its first bytes are gzip's; raises `OSError`."""
    file = path.open("rb")
    if not file.peek(len(_GZIP)).startswith(_GZIP):
        return file
    file.close()
    return cast("BinaryIO", gzip.open(path))


def is_packed(path: Path) -> bool:
    """Return whether a file begins as gzip files do; raises `OSError`."""
    with path.open("rb") as file:
        return file.read(len(_GZIP)) == _GZIP


def read_header(file: BinaryIO) -> TableHeader | None:
    """Read the lines above the rows; return None if the file has another layout.

    The file's position is not restored. Raises `OSError` or gzip's errors if it cannot be read.
    """
    lines: list[bytes] = []
    for _ in range(HEADER_LINES):
        line = file.readline(_LONGEST_HEADER)
        lines.append(line)
        if not line.endswith(b"\n") or not _may_follow(lines):
            return None
    texts = [line.decode("utf-8", "replace") for line in lines]
    return TableHeader(tuple(texts[1].split()), texts[2], tuple(texts[5].split()))


def header_of(path: Path) -> TableHeader | None:
    """Return the header of a file; None if it is not MESA's, or cannot be read."""
    try:
        with open_table(path) as file:
            return read_header(file)
    except (OSError, EOFError, zlib.error):
        return None


def numbers_of(columns: Sequence[object]) -> list[bytes]:
    """Return the words of the line that numbers columns: 1, 2, ..."""
    return [b"%d" % number for number, _ in zip(count(1), columns, strict=False)]


def _may_follow(lines: Sequence[bytes]) -> bool:
    """Return whether the last of these lines can follow the others in MESA's layout."""
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


def _without_returns(data: bytes) -> bytes:
    # pandas ends a row at each carriage return, also in the middle of a line
    return data.replace(b"\r", b" ")


class Rows:
    """A file of the rows for the parser, which notices damage while they are read.

    Deliberately not a class of the io module: pandas would decode its bytes, and encode them again.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._tail = b""
        self.sound = True
        """Whether no byte so far is NUL."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        if b"\0" in data:
            self.sound = False
        if b"\r" in data:
            data = _without_returns(data)
        line = data.rpartition(b"\n")
        self._tail = line[2] if line[1] else self._tail + data
        return data

    @property
    def cut(self) -> bool:
        """Whether the last row has no line break: a killed job wrote only part of it."""
        return bool(self._tail.strip())


class Pieces:
    """A file for the parser that is made piece by piece; not of the io module, as `Rows`."""

    _rest = b""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._piece, b"")

    def read(self, size: int = -1) -> bytes:
        pieces, length = [self._rest], len(self._rest)
        while (size < 0 or length < size) and (piece := self._piece()):
            pieces.append(piece)
            length += len(piece)
        data = b"".join(pieces)
        self._rest = data[size:] if size >= 0 else b""
        return data[:size] if size >= 0 else data

    def _piece(self) -> bytes:
        """Return whole rows; nothing at the end."""
        raise NotImplementedError


class CarefulRows(Pieces):
    """The rows of a file with the right number of words; the others are dropped and counted."""

    def __init__(self, file: BinaryIO, header: TableHeader) -> None:
        self._file = file
        self._columns = [name.encode() for name in header.columns]
        self._names = [name.encode() for name in header.names]
        self._lines = self._good()
        self.dropped = 0

    def _piece(self) -> bytes:
        return next(self._lines, b"")

    def _good(self) -> Iterator[bytes]:
        """Yield undamaged rows; a damaged row at the end of the file is dropped, not counted."""
        bad = 0
        for line, words in self._without_headers():
            self.dropped += bad
            whole = line.endswith(b"\n") and b"\0" not in line
            bad = 0 if whole and len(words) == len(self._columns) else 1
            if not bad:
                yield _without_returns(line)

    def _without_headers(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield lines and their words; drop headers that a run wrote again in the middle."""
        held: list[tuple[bytes, list[bytes]]] = []
        values_follow = False
        while line := self._file.readline(LONGEST_LINE):
            words = line.split()
            if values_follow or words in (self._columns, self._names):
                self.dropped += len(held) + 1
                held = []
                values_follow = words == self._names
                continue
            if not words:
                continue
            yield from held
            held = []
            if words == numbers_of(words):  # the line above the names, or a row of small numbers
                held.append((line, words))
            else:
                yield line, words
        yield from held
