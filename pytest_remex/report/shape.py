"""The shape of a grid: which of its parameters vary, and which only vary together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_remex.report.page import Page

Axis = tuple[int, ...]
"""Places, in a page's dimensions, of the parameters that vary together."""


def axes(page: Page) -> list[Axis]:
    """Give the axes of the page's grid, in the order of its dimensions.

    Two parameters vary together where each value of one goes with one value of the other.
    """
    found: dict[tuple[int, ...], list[int]] = {}
    for place, name in enumerate(page.dimensions):
        pattern = _pattern(row.values.get(name) for row in page.rows)
        if max(pattern, default=0) > 0:
            found.setdefault(pattern, []).append(place)
    return [tuple(places) for places in found.values()]


def _pattern(values: Iterable[object]) -> tuple[int, ...]:
    """Give the values as numbers, by first appearance; columns that go one to one give the same."""
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(repr(value), len(numbers)) for value in values)
