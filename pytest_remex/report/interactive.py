"""The interactive page: a table and figures, drawn by libraries that the page carries."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, TypedDict

from markupsafe import Markup

from pytest_remex.report.assets import asset, environment
from pytest_remex.report.columns import cells, columns
from pytest_remex.report.data import CHUNK, chunks, packed, script_json
from pytest_remex.report.figures import compiling, figures
from pytest_remex.report.policy import policy
from pytest_remex.report.shape import axes
from pytest_remex.report.tones import tone

if TYPE_CHECKING:
    from pytest_remex.model import Scalar
    from pytest_remex.report.content import Content
    from pytest_remex.report.page import Page
    from pytest_remex.report.shape import Axis
    from pytest_remex.report.vendor import Libraries


class Table(TypedDict):
    """The table's data as the page's scripts read it."""

    columns: list[dict[str, object]]
    axes: list[Axis]
    tones: dict[str, str]
    rows: list[list[Scalar]]


STYLES = ("page.css", "controls.css", "table.css", "details.css", "print.css")
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
    "brush.js",
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
    styles = [Markup(libraries.style), *map(asset, STYLES)]  # noqa: S704 - files, no data
    table, own = _table(page, shown), figures(page.figures)
    return (
        environment()
        .get_template("interactive.html")
        .render(
            content=shown,
            styles=styles,
            script=script,
            styled=libraries.styled,
            libraries={"charts": packed(libraries.charts), "tables": packed(libraries.table)},
            policy=policy(
                [script, libraries.charts, libraries.table],
                [*styles, ""],
                *compiling(len(table["axes"]), own),
            ),
            data=script_json(table),
            details=script_json({"size": CHUNK, "chunks": chunks(shown.entries)}),
            figures=script_json(own),
        )
    )


def _table(page: Page, shown: Content) -> Table:
    rows = [cells(one) for one in shown.entries]
    return {
        "columns": [asdict(column) for column in columns(page, rows)],
        "axes": axes(page),
        "tones": {word: tone(word) for word, _ in shown.counts},
        "rows": rows,
    }
