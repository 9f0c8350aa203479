"""The index of all sweeps: counts, when, base and links, one row a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_remex.report.text import clean, href
from pytest_remex.report.write import asset, environment, policy, replace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_remex.report.page import Sweep


def write_index(path: Path, sweeps: Sequence[Sweep]) -> None:
    """Write the index of `sweeps` to `path`, one HTML file that needs no script.

    Raises:
        OSError: `path` cannot be written.
    """
    styles = [asset("styles", name) for name in ("page.css", "print.css")]
    template = environment().get_template("index.html")
    shown = [
        {
            "name": clean(one.name),
            "when": clean(one.when),
            "base": clean(one.base)[:12],
            "launches": one.launches,
            "total": sum(one.counts.values()),
            "counts": [(clean(word), number) for word, number in one.counts.items()],
            "links": [(clean(name), href(to)) for name, to in one.links],
        }
        for one in sweeps
    ]
    text = template.render(sweeps=shown, styles=styles, title="Sweeps", policy=policy([], styles))
    replace(path, text)
