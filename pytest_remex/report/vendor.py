"""The libraries that the interactive page carries: Plotly for figures, DataTables for the table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

_STYLED = re.compile(r'getElementById\("(\w+)"\)\)\{var \w+=document\.createElement\("style"\)')
_EXPORTS = re.compile(r"export\s*\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Libraries:
    """Scripts and a style: `charts` defines `Plotly`, `table` defines `remexTables`.

    `style` is a cascade layer, so that the page's own styles win.

    `styled` are the ids of styles that `charts` adds where no element has that id: those of its
    maps, which need a network that the page has not.
    """

    charts: str
    table: str
    style: str
    styled: tuple[str, ...]


def libraries() -> Libraries | None:
    """Give the libraries from the packages `plotly` and `itables`; None where one is missing."""
    try:
        offline = import_module("plotly.offline")
        options = import_module("itables.options")
    except ImportError:
        return None
    charts, bundle = offline.get_plotlyjs(), Path(options.dt_bundle)
    return Libraries(
        charts=charts,
        table=classic(bundle.read_text(encoding="utf-8"), "remexTables"),
        style=f"@layer library {{{bundle.with_suffix('.css').read_text(encoding='utf-8')}}}",
        styled=tuple(_STYLED.findall(charts)),
    )


def classic(module: str, name: str) -> str:
    """Make a bundled module a script that puts its exports into the global `name`.

    A module without imports can run as a script, and only a script can be admitted by its hash.
    """
    return (
        f"globalThis.{name}=(()=>{{'use strict';"
        + _EXPORTS.sub(lambda found: f"return {{{_members(found.group(1))}}}", module)
        + "\n})()"
    )


def _members(exports: str) -> str:
    pairs = (item.split(" as ") for item in exports.split(","))
    return ",".join(f"{pair[-1].strip()}:{pair[0].strip()}" for pair in pairs)
