"""The libraries that the interactive page carries: Plotly for figures, DataTables for the table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

_EXPORTS = re.compile(r"export\s*\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Libraries:
    """Scripts and a style: `charts` defines `Plotly`, `table` defines `remexTables`."""

    charts: str
    table: str
    style: str


def libraries() -> Libraries | None:
    """Give the libraries from the packages `plotly` and `itables`; None where one is missing."""
    try:
        offline = import_module("plotly.offline")
        options = import_module("itables.options")
    except ImportError:
        return None
    bundle = Path(options.dt_bundle)
    return Libraries(
        charts=offline.get_plotlyjs(),
        table=classic(bundle.read_text(encoding="utf-8"), "remexTables"),
        style=bundle.with_suffix(".css").read_text(encoding="utf-8"),
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
