"""Make text, numbers and links of a job safe to show in a browser."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_remex.display import clean

if TYPE_CHECKING:
    from pytest_remex.model import Scalar

LONGEST = 20_000
"""Characters of a diff, from its start, and of a log, from its end, that the report holds."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_TONES = {
    "good": ("PASSED", "COMPLETED", "SUBMITTED"),
    "wait": ("PENDING", "HELD", "SKIPPED"),
    "live": ("RUNNING", "COMPLETING", "SUSPENDED", "PARTIAL"),
    "odd": ("CHANGED", "PREEMPTED", "CANCELLED"),
    "bad": (
        *("FAILED", "ERROR", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE"),
        *("REJECTED", "LOST", "UPSTREAM", "PURGED"),
    ),
}
_TONE_OF = {word: tone for tone, words in _TONES.items() for word in words}


def head(text: str) -> str:
    """Return the start of a clean text, and how much was left out."""
    left = len(text) - LONGEST
    return text if left <= 0 else f"{text[:LONGEST]}\n[{left} more characters]"


def tail(text: str) -> str:
    """Return the end of a clean text, and how much was left out."""
    left = len(text) - LONGEST
    return text if left <= 0 else f"[{left} characters before]\n{text[-LONGEST:]}"


def href(path: str) -> str:
    """Return a relative path percent-encoded for an `href` or `src`; "" if it is not relative.

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


def shown(value: Scalar) -> str:
    """Return a value as text: floats with six significant digits, None as nothing."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else clean(str(value))


def duration(seconds: float | None) -> str:
    """Return seconds as their two largest units, such as `2 h 05 min`; None as nothing."""
    if seconds is None:
        return ""
    whole = int(seconds + 0.5)
    if whole < _MINUTE:
        return f"{seconds:.3g} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02d} h"


def tone(verdict: str) -> str:
    """Return the colour name of a verdict, by its first word; `odd` if it passed with a remark."""
    first, _, remark = verdict.partition(",")
    found = _TONE_OF.get(first.split(maxsplit=1)[0].upper() if first.strip() else "", "unknown")
    return "odd" if remark and found == "good" else found
