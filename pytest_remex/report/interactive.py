"""The interactive page: a table and figures, drawn by libraries that the page carries."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from markupsafe import Markup

from pytest_remex.report.assets import asset, environment
from pytest_remex.report.columns import cells, columns
from pytest_remex.report.data import CHUNK, chunks, packed, script_json
from pytest_remex.report.figures import figures
from pytest_remex.report.policy import policy
from pytest_remex.report.shape import axes
from pytest_remex.report.tones import tone

if TYPE_CHECKING:
    from pytest_remex.report.content import Content
    from pytest_remex.report.page import Page
    from pytest_remex.report.vendor import Libraries

STYLES = ("page.css", "controls.css", "table.css", "details.css")
SCRIPTS = (
    "unpack.js",
    "dom.js",
    "format.js",
    "theme.js",
    "diff.js",
    "details.js",
    "cells.js",
    "table.js",
    "opener.js",
    "verdicts.js",
    "reveal.js",
    "narrow.js",
    "scale.js",
    "points.js",
    "heatmap.js",
    "parallel.js",
    "choices.js",
    "figure.js",
    "extra.js",
    "print.js",
    "main.js",
)
"""The page's own scripts, joined in this order into one."""


def interactive_html(page: Page, shown: Content, libraries: Libraries) -> str:
    """Give the page as HTML whose table sorts, filters and searches, and whose figures lead to it.

    Its libraries are packed; a browser unpacks them, and their hashes are in the page's policy.
    """
    script = Markup("\n").join(asset(name) for name in SCRIPTS)
    own, theirs = [asset(name) for name in STYLES], libraries.style
    template = environment().get_template("interactive.html")
    return template.render(
        content=shown,
        styles=[Markup(theirs), *own],  # noqa: S704 - a package's file, no data
        script=script,
        styled=libraries.styled,
        libraries={"charts": packed(libraries.charts), "tables": packed(libraries.table)},
        policy=policy(
            scripts=[script, libraries.charts, libraries.table], styles=[theirs, *own, ""]
        ),
        data=script_json(_table(page, shown)),
        details=script_json({"size": CHUNK, "chunks": chunks(shown.entries)}),
        figures=script_json(figures(page.figures)),
    )


def _table(page: Page, shown: Content) -> dict[str, object]:
    rows = [cells(one) for one in shown.entries]
    return {
        "title": shown.title,
        "columns": [asdict(column) for column in columns(page, rows)],
        "axes": axes(page),
        "tones": {word: tone(word) for word, _ in shown.counts},
        "rows": rows,
    }
