"""Read pickles that contain plain data only: nothing in them is looked up or called."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import NoReturn

from pytest_remex.errors import RecordError

LARGEST = 1 << 26
"""The largest file, in bytes, that is read."""
_DEEPEST = 50
_PLAIN = (str, int, float, bool, type(None))


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that makes dicts, lists, tuples, texts, numbers and None, and nothing else."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse a class or function, which unpickling would call."""
        raise pickle.UnpicklingError(f"it contains {module}.{name}")

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuse a reference to an object outside of the file."""
        raise pickle.UnpicklingError(f"it refers to an object outside of it, {pid!r:.40}")


def load_plain(path: Path) -> object:
    """Return the dicts, lists, tuples, texts, numbers and None in a pickle.

    Raises:
        RecordError: The file cannot be read, or contains anything else; the message names that.

    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        found: object = _PlainUnpickler(io.BytesIO(data[:LARGEST]), encoding="utf-8").load()
        _check(found, set(), 0)
    except Exception as error:  # noqa: BLE001 - damaged pickles raise all kinds of errors
        why = str(error) or type(error).__name__
        raise RecordError(
            f"{path} is not read: {why}; only dicts, lists, tuples, texts, numbers and None are: "
            f"write the sweep with plain Python values, such as float(x), and pickle it again"
        ) from None
    return found


def _check(value: object, seen: set[int], depth: int) -> None:
    """Refuse data that is not plain, or contains itself; each object is checked once."""
    if isinstance(value, _PLAIN):
        return
    if not isinstance(value, dict | list | tuple):
        raise ValueError(f"it contains a {type(value).__name__}")  # noqa: TRY004 - bad data
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} deep")
    if id(value) in seen:
        return
    seen.add(id(value))
    for each in (*value.keys(), *value.values()) if isinstance(value, dict) else value:
        _check(each, seen, depth + 1)
