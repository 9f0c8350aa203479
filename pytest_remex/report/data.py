"""The page's data as JSON: the table at once, the long texts in packed chunks, read when needed."""

from __future__ import annotations

import json
from base64 import b64encode
from gzip import compress
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_remex.report.entry import Entry, Link

CHUNK = 100
"""Rows whose long texts are packed together: opening one unpacks this many."""
_UNSAFE = {code: f"\\u{code:04x}" for code in map(ord, "<>&\u2028\u2029")}


def script_json(value: object) -> Markup:
    """Give `value` as JSON that no HTML parser takes for a tag or an end of the script."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_UNSAFE))  # noqa: S704 - no <, > or & is left in it


def packed(text: str) -> str:
    """Give `text` compressed, in letters that need no escaping."""
    return b64encode(compress(text.encode(), 6, mtime=0)).decode()


def chunks(entries: Sequence[Entry]) -> list[str]:
    """Give the entries' details, packed `CHUNK` by `CHUNK`."""
    return [
        packed(json.dumps([_details(one) for one in entries[start : start + CHUNK]]))
        for start in range(0, len(entries), CHUNK)
    ]


def _details(one: Entry) -> dict[str, object]:
    return {
        "node": one.node,
        "commit": one.commit,
        "parent": one.parent,
        "directory": one.directory,
        "reason": one.reason,
        "diff": one.diff,
        "log": one.log,
        "outputs": [_pair(link) for link in one.outputs],
        "images": [_pair(link) for link in one.images],
    }


def _pair(link: Link) -> tuple[str, str]:
    return link.name, link.href
