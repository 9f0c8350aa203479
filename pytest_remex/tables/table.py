"""A table on disk: results.csv, and results.json, which describes its columns.

Any tool can read the CSV; with the JSON file, every value is read back with its type:

    {"version": 1, "dimensions": [["a"], ["b", "c"]],
     "columns": [{"name": "a", "role": "point", "kind": "float"}, ...]}

A column's role is `about` (the experiment), `point` or `measure`; its values have one `Kind`. None
is an empty cell. Text that a spreadsheet would interpret as a formula (it begins with `=`, `+`,
`-`, `@`, a tab or a carriage return) gets an apostrophe in front, as in spreadsheets, and so does
text that begins with an apostrophe; `decode` removes it again.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypedDict

from pytest_remex.errors import RemexError
from pytest_remex.io import writing
from pytest_remex.model import LARGEST_EXACT, Value

CSV = "results.csv"
_QUOTED = re.compile(r'[",\r\n]')
_SIDECAR = "results.json"
_VERSION = 1


class DamagedTableError(RemexError):
    """A table cannot be read; the next collect rewrites it."""


class Table(NamedTuple):
    """Rows by column name, with a value for every column; `roles` has the columns in order."""

    dimensions: tuple[tuple[str, ...], ...]
    roles: Mapping[str, str]
    rows: Sequence[Mapping[str, Value]]

    def names(self, role: str) -> list[str]:
        """Return the names of the columns with a role."""
        return [name for name, its in self.roles.items() if its == role]

    def counts(self, name: str) -> Counter[str]:
        """Return how many rows have each value of a column, the most frequent first; not None."""
        values = (row.get(name) for row in self.rows)
        counts = Counter(str(value) for value in values if value is not None)
        return Counter(dict(counts.most_common()))

    def mixed(self, names: Iterable[str]) -> dict[str, Counter[str]]:
        """Return which of the columns have several values, with the number of rows per value."""
        counts = {name: self.counts(name) for name in names if name in self.roles}
        return {name: values for name, values in counts.items() if len(values) > 1}


class _Column(TypedDict):
    name: str
    role: str
    kind: str


class _Sidecar(TypedDict):
    version: int
    dimensions: list[list[str]]
    columns: list[_Column]


def write_table(folder: Path, table: Table) -> Table:
    """Write a table into a folder, which is made; both files are replaced once both are written.

    Returns:
        The table as `read_table` would read it back, each column with values of one kind.

    Raises:
        RecordError: A file cannot be written.

    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    columns = {name: [row[name] for row in table.rows] for name in table.roles}
    kinds = {name: kind_of(values) for name, values in columns.items()}
    texts = [encode(values, kinds[name]) for name, values in columns.items()]
    lines = [[guard(name) for name in columns], *zip(*texts, strict=True)]
    text = "".join(",".join(map(_quoted, line)) + "\n" for line in lines)
    sidecar: _Sidecar = {
        "version": _VERSION,
        "dimensions": [list(names) for names in table.dimensions],
        "columns": [
            {"name": name, "role": role, "kind": kinds[name]} for name, role in table.roles.items()
        ],
    }
    beside = json.dumps(sidecar, indent=1) + "\n"
    with _staged(folder / CSV, text) as rows, _staged(folder / _SIDECAR, beside) as about:
        # Right after each other: a crash between the two leaves a table that does not match.
        rows.replace(folder / CSV)
        about.replace(folder / _SIDECAR)
    columns = {
        name: decode([_as_written(cell) for cell in cells], kinds[name])
        for name, cells in zip(columns, texts, strict=True)
    }
    return Table(table.dimensions, table.roles, _rows(list(columns), columns.values()))


def read_table(folder: Path) -> Table | None:
    """Return the table in a folder; None if there is no CSV with a matching JSON file.

    Raises:
        DamagedTableError: One of the two files cannot be read.
        RemexError: They have a newer version.

    """
    header, *lines = _read_csv(folder / CSV)
    sidecar = _read_sidecar(folder / _SIDECAR)
    if not sidecar or header != [guard(column["name"]) for column in sidecar["columns"]]:
        return None
    try:
        columns = [
            decode(texts, Kind(column["kind"]))
            for column, texts in zip(sidecar["columns"], zip(*lines, strict=True), strict=False)
        ]
    except (ValueError, KeyError) as error:
        raise DamagedTableError(
            f"{folder / CSV} does not match {_SIDECAR} next to it ({error}): collect again, or "
            f"remove {_SIDECAR} to read the table without it"
        ) from None
    roles = {column["name"]: column["role"] for column in sidecar["columns"]}
    return Table(tuple(map(tuple, sidecar["dimensions"])), roles, _rows(list(roles), columns))


def _rows(names: Sequence[str], columns: Iterable[Sequence[Value]]) -> list[dict[str, Value]]:
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _as_written(cell: str) -> str:
    """Return a cell as it is read back from the file: a lone surrogate is written as an escape."""
    return cell if cell.isascii() else cell.encode("utf-8", "backslashreplace").decode()


def _quoted(cell: str) -> str:
    # csv.writer does not quote a carriage return if lines end in a newline: readers would lose it.
    return '"' + cell.replace('"', '""') + '"' if _QUOTED.search(cell) else cell


def _read_csv(path: Path) -> list[list[str]]:
    usual = csv.field_size_limit()
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            # the names of 4,000 outputs are longer than the usual limit
            csv.field_size_limit(max(usual, path.stat().st_size))
            lines = list(csv.reader(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise DamagedTableError(f"{path} cannot be read ({error}): collect again") from None
    finally:
        csv.field_size_limit(usual)
    return lines or [[]]


def _read_sidecar(path: Path) -> _Sidecar | None:
    try:
        found: _Sidecar = json.loads(path.read_text(encoding="utf-8"))
        version = found["version"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedTableError(
            f"{path} cannot be read ({error!r}): collect again, or remove it"
        ) from None
    if version > _VERSION:
        raise RemexError(
            f"{path} has version {version}, from a newer pytest-remex: upgrade pytest-remex"
        )
    return found


@contextmanager
def _staged(path: Path, text: str) -> Iterator[Path]:
    """Write a temporary file next to `path`, flush it to the disk, and yield it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        try:
            with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            yield draft
        finally:
            draft.unlink(missing_ok=True)


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_LARGEST_INT = 2**63 - 1


class Kind(StrEnum):
    """The type of a column's values; all but TEXT may also contain None."""

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    TEXT = "text"
    OPTIONAL_TEXT = "optional text"
    JSON = "json"


def kind_of(values: Sequence[Value]) -> Kind:
    """Return the narrowest kind that fits every value; an empty column has floats.

    Integers among floats become floats.
    """
    present = [value for value in values if value is not None]
    types = {type(value) for value in present}
    if types == {bool}:
        return Kind.BOOL
    if types == {int} and _largest(present) <= _LARGEST_INT:
        return Kind.INT
    if types <= {int, float} and _largest(present) <= LARGEST_EXACT:
        return Kind.FLOAT
    if types != {str}:
        return Kind.JSON
    if len(present) == len(values):
        return Kind.TEXT
    return Kind.JSON if "" in present else Kind.OPTIONAL_TEXT


def encode(values: Sequence[Value], kind: Kind) -> list[str]:
    """Return a column's values as the text of its cells."""
    write = _WRITERS[kind]
    return ["" if value is None else write(value) for value in values]


def decode(texts: Sequence[str], kind: Kind) -> list[Value]:
    """Return the values of a column's cells. Raises `ValueError` if one is not of the kind."""
    read = _READERS[kind]
    if kind is Kind.TEXT:
        return [read(text) for text in texts]
    return [read(text) if text else None for text in texts]


def guard(text: str) -> str:
    """Escape text that a spreadsheet would evaluate as a formula."""
    return "'" + text if text.startswith(_FORMULA) else text


def _largest(values: Sequence[Value]) -> int:
    return max((abs(value) for value in values if type(value) is int), default=0)


def _unguard(text: str) -> str:
    return text.removeprefix("'")


def _bool(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither True nor False")
    return text.lower() == "true"


def _float(value: Value) -> str:
    return repr(float(value)) if isinstance(value, int | float) else str(value)


def _text(value: Value) -> str:
    return guard(str(value))


def _json(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)


_WRITERS: Mapping[Kind, Callable[[Value], str]] = {
    Kind.BOOL: str,
    Kind.INT: str,
    Kind.FLOAT: _float,
    Kind.TEXT: _text,
    Kind.OPTIONAL_TEXT: _text,
    Kind.JSON: _json,
}
_READERS: Mapping[Kind, Callable[[str], Value]] = {
    Kind.BOOL: _bool,
    Kind.INT: int,
    Kind.FLOAT: float,
    Kind.TEXT: _unguard,
    Kind.OPTIONAL_TEXT: _unguard,
    Kind.JSON: json.loads,
}
