"""The columns of the interactive table, and an entry's cells in them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_remex.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_remex.model import Scalar
    from pytest_remex.report.entry import Entry
    from pytest_remex.report.page import Page

SHORT = 160
"""Characters of a reason that the table shows; the details hold all."""
_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title, what it holds, and whether the table shows it from the start."""

    title: str
    kind: str
    shown: bool


def columns(page: Page, rows: Sequence[Sequence[Scalar]]) -> list[Column]:
    """Give the columns of `rows`; one that is empty, or that others spell out, is not shown."""
    kinds = [
        ("Verdict", "verdict"),
        ("Experiment", "node"),
        *((clean(name), "dimension") for name in page.dimensions),
        *((clean(name), "measure") for name in page.measures),
        ("Picture", "picture"),
        ("State", "state"),
        ("Reason", "reason"),
        ("Elapsed", "elapsed"),
        ("Job", "job"),
        ("Commit", "commit"),
    ]
    spelt_out = {"node", "commit"} if page.dimensions else {"commit"}
    return [
        Column(
            title, kind, kind not in spelt_out and any(row[place] not in {"", None} for row in rows)
        )
        for place, (title, kind) in enumerate(kinds)
    ]


def cells(one: Entry) -> list[Scalar]:
    """Give an entry's cells, in the order of `columns`."""
    return [
        one.verdict,
        one.node,
        *map(_exact, one.values),
        one.images[0].href if one.images else "",
        one.state,
        one.reason.split("\n", 1)[0][:SHORT],
        one.elapsed,
        one.job,
        one.commit[:12],
    ]


def _exact(value: Scalar) -> Scalar:
    """Give as text what a number of JSON or JavaScript cannot hold exactly."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) > _EXACT:
        return str(value)
    return value
