"""The page's Content-Security-Policy: only its own scripts and styles, and no network."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def policy(scripts: Sequence[str], styles: Sequence[str], *also: str) -> str:
    """Give the policy that admits exactly these inline scripts and styles, and `also` of scripts.

    Pictures may come from beside the page, or from the page itself; nothing else is loaded. Style
    attributes are admitted, for Plotly's heat maps set some; all text is escaped, so no data can.
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
    return " ".join(_hash(text) for text in texts) or "'none'"


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
