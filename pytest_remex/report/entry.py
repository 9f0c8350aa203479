"""A row made ready to show: clean text, safe links."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pytest_remex.report.links import href
from pytest_remex.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_remex.model import Scalar
    from pytest_remex.report.page import Row

LONGEST = 20_000
"""Characters of a diff, from its start, and of a log, from its end, that the report holds."""


@dataclass(frozen=True, slots=True)
class Link:
    """A name to show and where it leads; an `href` of "" leads nowhere."""

    name: str
    href: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A row in which every text is clean and every link is a percent-encoded relative one."""

    node: str
    verdict: str
    state: str
    reason: str
    values: tuple[Scalar, ...]
    job: str
    elapsed: float | None
    commit: str
    parent: str
    directory: str
    diff: str
    log: str
    outputs: tuple[Link, ...]
    images: tuple[Link, ...]


def entry(row: Row, columns: Sequence[str]) -> Entry:
    """Make a row ready to show, with its values in the order of `columns`."""
    return Entry(
        node=clean(row.node),
        verdict=clean(row.verdict),
        state=clean(row.state),
        reason=clean(row.reason),
        values=tuple(_value(row.values.get(column)) for column in columns),
        job=clean(row.job),
        elapsed=row.elapsed,
        commit=clean(row.commit),
        parent=clean(row.parent),
        directory=clean(row.directory),
        diff=_head(clean(row.diff)),
        log=_tail(clean(row.log)),
        outputs=tuple(Link(clean(name), href(path)) for name, path in row.outputs),
        images=tuple(Link(clean(PurePosixPath(path).name), href(path)) for path in row.images),
    )


def _value(value: object) -> Scalar:
    return value if value is None or isinstance(value, int | float) else clean(str(value))


def _head(text: str) -> str:
    return (
        text
        if len(text) <= LONGEST
        else f"{text[:LONGEST]}\n[{len(text) - LONGEST} more characters]"
    )


def _tail(text: str) -> str:
    return (
        text
        if len(text) <= LONGEST
        else f"[{len(text) - LONGEST} characters before]\n{text[-LONGEST:]}"
    )
