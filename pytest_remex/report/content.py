"""A page made ready to show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_remex.report.entry import entry
from pytest_remex.report.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_remex.report.entry import Entry
    from pytest_remex.report.page import Page


@dataclass(frozen=True, slots=True)
class Content:
    """A page in which every text is clean; `columns` names the values of each entry."""

    title: str
    facts: Mapping[str, str]
    columns: Sequence[str]
    entries: Sequence[Entry]

    @property
    def counts(self) -> list[tuple[str, int]]:
        """The verdicts and how many experiments have them, most frequent first."""
        return Counter(one.verdict for one in self.entries).most_common()


def content(page: Page) -> Content:
    """Make `page` ready to show; the columns are its dimensions, then its measures."""
    columns = (*page.dimensions, *page.measures)
    return Content(
        title=clean(page.title),
        facts={clean(name): clean(fact) for name, fact in page.facts.items()},
        columns=[clean(name) for name in columns],
        entries=[entry(row, columns) for row in page.rows],
    )
