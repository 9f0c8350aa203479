"""The bytes of a table's rows, as a parser asks for them: whole rows only, or as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from pytest_remex.extensions.mesa.layout import numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_remex.extensions.mesa.layout import Header

LONGEST_LINE = 1 << 24


class Rows:
    """The bytes of a file as the parser asks for them, and what they say of the rows.

    It is no file in the io module's sense on purpose: pandas would decode those, and encode again.
    """

    def __init__(self, file: BinaryIO, stop: int | None = None) -> None:
        self._file = file
        self._stop = stop
        self._tail = b""
        self.sound = True
        """Whether no byte is NUL."""
        self.lengths: set[int] = set()
        """Lengths of the rows, where they are measured."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._file)

    def read(self, size: int = -1) -> bytes:
        if self._stop is not None:
            size = min(size, max(self._stop - self._file.tell(), 0))
        data = self._file.read(size)
        if b"\0" in data:
            self.sound = False
        line = data.rpartition(b"\n")
        self._tail = line[2] if line[1] else self._tail + data
        return data

    @property
    def cut(self) -> bool:
        """Whether the last row has no line break: a killed job left half of it."""
        return bool(self._tail.strip())


class EvenRows(Rows):
    """Rows of which the parser takes some columns: it does not tell then where a row has too many.

    All rows of MESA are equally long; where they are not, they are read as a whole.
    """

    def read(self, size: int = -1) -> bytes:
        begun = len(self._tail)
        data = super().read(size)
        first, *others = data.split(b"\n")
        if others:
            self.lengths.add(begun + len(first))
            self.lengths.update(map(len, others[:-1]))
        return data


class CarefulRows(Rows):
    """The rows of a file that are whole, by the number of their words; the others are counted."""

    def __init__(self, file: BinaryIO, header: Header) -> None:
        super().__init__(file)
        self._columns = [name.encode() for name in header.columns]
        self._names = [name.encode() for name in header.names]
        self._lines = self._good()
        self._rest = b""
        self.dropped = 0

    def read(self, size: int = -1) -> bytes:
        blocks, length = [self._rest], len(self._rest)
        while size < 0 or length < size:
            line = next(self._lines, b"")
            if not line:
                break
            blocks.append(line)
            length += len(line)
        data = b"".join(blocks)
        self._rest = data[size:] if size >= 0 else b""
        return data[:size] if size >= 0 else data

    def _good(self) -> Iterator[bytes]:
        """Yield whole rows; the file's last one, where it is damaged, is left out uncounted."""
        bad = 0
        for line, words in self._without_headers():
            self.dropped += bad
            whole = line.endswith(b"\n") and b"\0" not in line
            bad = 0 if whole and len(words) == len(self._columns) else 1
            if not bad:
                yield line

    def _without_headers(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield lines and their words, without the header that a run wrote again in the middle."""
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
            if words == numbers_of(words):  # the numbers above names, or a row of small numbers
                held.append((line, words))
            else:
                yield line, words
        yield from held
