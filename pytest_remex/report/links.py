"""Relative links from the page to files beside it, and no others."""

from __future__ import annotations

import os
from urllib.parse import quote


def href(path: str) -> str:
    """Percent-encode a relative path for an `href` or `src`; "" where it is not relative.

    A colon is encoded too, so that no text is a scheme such as `javascript:`; bytes of a name that
    are no UTF-8 keep their value.
    """
    if not path or path.startswith("/"):
        return ""
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        name = path.encode("utf-8", "replace")
    return quote(name, safe="/")
