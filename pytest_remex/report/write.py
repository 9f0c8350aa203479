"""Write a report: an interactive page where its libraries are installed, a plain one otherwise."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_remex.report.content import content
from pytest_remex.report.interactive import interactive_html
from pytest_remex.report.plain import plain_html
from pytest_remex.report.vendor import libraries

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_remex.report.page import Page


def write_report(path: Path, page: Page) -> None:
    """Write `page` to `path` as one self-contained HTML file, in place of what was there.

    With `pytest-remex[report]` the page has a table to sort, filter and search, and figures;
    without it, a plain table of every experiment. Raises `OSError` where `path` cannot be written.
    """
    shown, found = content(page), libraries()
    _replace(path, interactive_html(page, shown, found) if found else plain_html(shown))


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
