"""The plain page: every experiment in one table, without any script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_remex.report.assets import asset, environment
from pytest_remex.report.policy import policy

if TYPE_CHECKING:
    from pytest_remex.report.content import Content

DETAILS_LIMIT = 8_000_000
"""Characters of diffs and logs that a plain page holds; beyond, the browser would not keep up."""


def plain_html(shown: Content) -> str:
    """Give the page as HTML that needs neither scripts nor libraries to be read."""
    styles = [asset("page.css"), asset("print.css")]
    length = sum(len(one.diff) + len(one.log) for one in shown.entries)
    template = environment().get_template("plain.html")
    return template.render(
        content=shown,
        detailed=length <= DETAILS_LIMIT,
        styles=styles,
        policy=policy(scripts=[], styles=styles),
    )
