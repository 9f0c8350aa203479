"""Write a report or the index of all sweeps: data, scripts, styles, libraries in one HTML file."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import Counter
from dataclasses import asdict
from functools import cache, lru_cache
from gzip import compress
from hashlib import sha256
from importlib import import_module
from importlib.resources import files
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pytest_remex.display import clean
from pytest_remex.io import replace_text
from pytest_remex.report.columns import (
    axes,
    cause,
    causes,
    cell,
    cells,
    columns,
    head,
    href,
    tail,
    tone,
)
from pytest_remex.report.outputs import thumbnails
from pytest_remex.report.page import Curve, Overlay, curve_data, fault_of, overlay_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_remex.report.page import IndexedSweep, Page, ReportRow

CHUNK = 100
"""Rows whose long texts are packed together: opening one unpacks this many."""
STYLES = ("page.css", "parts.css", "print.css")
SCRIPTS = (
    "selection.js",
    "table.js",
    "figure.js",
    "points.js",
    "grid.js",
    "curves.js",
    "compare.js",
    "page.js",
)
"""The page's own scripts, joined in this order into one."""
LIBRARIES = {
    "tables": ("dataTables.min.js", "dataTables.dataTables.min.js"),
    "charts": ("echarts.min.js",),
    "extras": ("diff.min.js", "photoswipe.umd.min.js"),
}
_LIBRARY_STYLES = ("dataTables.dataTables.min.css", "photoswipe.css")
_COMPILED = frozenset({"parcoords", "scattergl", "scatterpolargl", "splom"})
_UNSAFE = {code: f"\\u{code:04x}" for code in map(ord, "<>&\u2028\u2029")}


def write_report(path: Path, page: Page, root: Path | None = None) -> None:
    """Write `page` to `path` as one self-contained HTML file, replacing an old one.

    Args:
        path: The file to write.
        page: What it shows.
        root: The output folder: images outside of it are not read. By default the folder that
            holds the page's own.

    Raises:
        OSError: `path` cannot be written.
        ValueError: A curve has not as many y as x.
    """
    small = thumbnails(path.parent, page, root or path.parent.parent)
    replace_text(path, _html(page, small.inside, small.note))


def _html(page: Page, small: Mapping[str, str], note: str) -> str:
    script = Markup("\n").join(asset("scripts", name) for name in SCRIPTS)
    packages = {
        name: "\n;".join(asset("vendor", part) for part in parts)
        for name, parts in LIBRARIES.items()
    }
    layers = [f"@layer library {{{asset('vendor', name)}}}" for name in _LIBRARY_STYLES]
    styles = [*map(Markup, layers), *(asset("styles", name) for name in STYLES)]
    own, overlays = _figures(page)
    if any("figure" in one for one in own):
        packages["plotly"] = import_module("plotly.offline").get_plotlyjs()
    rows = [cells(page, row) for row in page.rows]
    table = _table(page, rows)
    return (
        environment()
        .get_template("page.html")
        .render(
            title=clean(page.title),
            facts={clean(name): clean(fact) for name, fact in page.facts.items()},
            counts=Counter(clean(row.verdict) for row in page.rows).most_common(),
            note=note,
            columns=table["columns"],
            rows=rows,
            styles=styles,
            script=script,
            libraries={name: _library(code) for name, code in packages.items()},
            own="plotly" in packages,
            policy=policy([script, *packages.values()], [*styles, ""], _compiling(own)),
            data={
                "table": script_json(table),
                "details": script_json({"size": CHUNK, "chunks": _chunks(page.rows)}),
                "images": script_json(packed(json.dumps([_images(row) for row in page.rows]))),
                "small": script_json(small),
                "curves": script_json(_curves(page)),
                "figures": script_json({"own": own, "overlays": overlays}),
            },
        )
    )


@cache  # it keeps the compiled templates
def environment() -> Environment:
    """Return the Jinja environment of the templates; all its output is escaped."""
    made = Environment(
        loader=PackageLoader("pytest_remex.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"cell": cell, "tone": tone}
    return made


def asset(folder: str, name: str) -> Markup:
    """Return the text of a file of the package; being its own, it is not escaped."""
    file = files("pytest_remex.report").joinpath(folder, name)
    return Markup(file.read_text(encoding="utf-8"))  # noqa: S704 - see the docstring


def policy(scripts: Sequence[str], styles: Sequence[str], also: Sequence[str] = ()) -> str:
    """Return the Content-Security-Policy: exactly these scripts and styles, and no network.

    Images may come from beside the page, or from the page itself; nothing else is loaded. Style
    attributes are admitted, for the libraries set some; all text is escaped, so no data can.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join([_hashes(scripts), *also])}",
            f"style-src {_hashes(styles)}",
            "style-src-attr 'unsafe-inline'",
            "img-src 'self' file: data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hashes(texts: Sequence[str]) -> str:
    digests = (sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{b64encode(one).decode()}'" for one in digests) or "'none'"


def script_json(value: object) -> Markup:
    """Return `value` as JSON in which no HTML parser finds a tag or the end of the script."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_UNSAFE))  # noqa: S704 - no <, > or & is left in it


def packed(text: str) -> str:
    """Return `text` compressed, in letters that need no escaping."""
    return b64encode(compress(text.encode(), 6, mtime=0)).decode()


@lru_cache(maxsize=len(LIBRARIES) + 1)  # all reports have the same, and to pack them takes longest
def _library(code: str) -> str:
    return packed(code)


def _table(page: Page, rows: Sequence[Sequence[object]]) -> dict[str, Any]:
    found = columns(page, rows)  # type: ignore[arg-type]
    return {
        "title": clean(page.title),
        "columns": [asdict(column) for column in found],
        "axes": axes(page),
        "tones": {word: tone(word) for word in {clean(row.verdict) for row in page.rows}},
        "causes": causes(page),
        "launches": [
            {
                "id": clean(one.id),
                "when": clean(one.when),
                "base": clean(one.base)[:12],
                "counts": [(clean(word), number) for word, number in one.counts.items()],
                "href": href(one.href),
            }
            for one in page.launches
        ],
        "rows": rows,
    }


def _chunks(rows: Sequence[ReportRow]) -> list[str]:
    """Return the rows' details, packed `CHUNK` by `CHUNK`."""
    return [
        packed(json.dumps([_details(row) for row in rows[start : start + CHUNK]]))
        for start in range(0, len(rows), CHUNK)
    ]


def _details(row: ReportRow) -> dict[str, object]:
    return {
        "node": clean(row.node),
        "commit": clean(row.commit),
        "parent": clean(row.parent),
        "directory": clean(row.directory),
        "reason": clean(row.reason),
        "diff": head(clean(row.diff)),
        "log": tail(clean(row.log)),
        "outputs": [(clean(name), href(path)) for name, path in row.outputs],
        "images": _images(row),
        "cause": cause(row),
    }


def _images(row: ReportRow) -> list[tuple[str, str]]:
    pairs = ((clean(PurePosixPath(path).name), href(path)) for path in row.images)
    return [(name, link) for name, link in pairs if link]


def _curves(page: Page) -> list[dict[str, object]]:
    """Return the curves by name; their points, which are many, packed."""
    return [{**one, "curves": packed(json.dumps(one["curves"]))} for one in curve_data(page)]


def _figures(page: Page) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return the sweep's own figures, as `{"figure": ...}` or `{"problem": ...}`, and overlays."""
    own, overlays = [], []
    for one in page.figures:
        if isinstance(one, Overlay) and not fault_of(one):
            overlays.append(overlay_data(one))
        else:
            own.append(_figure(one))
    return own, overlays


def _figure(one: object) -> dict[str, object]:
    if isinstance(one, Curve | Overlay):
        return {"problem": clean(fault_of(one))}
    try:
        return {"figure": json.loads(import_module("plotly.io").to_json(one))}
    except (ImportError, TypeError, ValueError):
        what = clean(f"{type(one).__module__}.{type(one).__qualname__}")
        return {"problem": f"A figure was left out: {what} is no Plotly figure."}


def _compiling(own: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what own figures need of the policy: Plotly compiles what draws some traces."""
    traces = [trace for one in own for trace in one.get("figure", {}).get("data", [])]
    return ["'unsafe-eval'"] if any(trace.get("type") in _COMPILED for trace in traces) else []


def write_index(path: Path, sweeps: Sequence[IndexedSweep]) -> None:
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
    replace_text(path, text)
