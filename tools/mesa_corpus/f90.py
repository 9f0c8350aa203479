"""What f90nml reads from namelists: a second opinion, with faults of its own."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import f90nml  # type: ignore[import-untyped]  # it has no stubs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_remex.namelists.values import Literal


def read_with_f90nml(text: str) -> dict[str, dict[str, Literal]] | str:
    """Return what f90nml reads, named as `read_inlist` does, or its error in words."""
    parser = f90nml.Parser()
    parser.strict_logical = False
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            groups = parser.reads(text)
    except Exception as error:  # noqa: BLE001 - f90nml fails with whatever its tokens led to
        return f"{type(error).__name__}: {error}"
    return {
        name: dict(_flat(first))
        for name, group in groups.items()
        if isinstance(first := group[0] if isinstance(group, list) else group, f90nml.Namelist)
    }


def _flat(group: Mapping[str, object]) -> Iterator[tuple[str, Literal]]:
    starts: Mapping[str, list[int | None]] = getattr(group, "start_index", {})
    for name, value in group.items():
        if isinstance(value, list):
            lower = [1 if start is None else start for start in starts.get(name, [1])]
            for subscript, element in _elements(value, lower):
                yield f"{name}({subscript})", element
        elif isinstance(value, str | int | float | bool):
            yield name, value


def _elements(values: list[object], lower: list[int]) -> Iterator[tuple[str, Literal]]:
    """Go through nested lists; the outermost is the last dimension."""
    *inner, start = lower or [1]
    for place, value in enumerate(values, start):
        if isinstance(value, list):
            yield from ((f"{rest},{place}", one) for rest, one in _elements(value, inner))
        elif isinstance(value, str | int | float | bool):
            yield str(place), value
