"""Text, numbers and links that a browser shows as they are meant, whatever a job wrote."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from pytest_remex.model import Scalar

LONGEST = 20_000
"""Characters of a diff, from its start, and of a log, from its end, that the report holds."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_COLOURS = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]")
_PICTURES = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10)} | {
    127: "\u2421",
    **{code: f"\\x{code:02x}" for code in range(0x80, 0xA0)},
    **{code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}
_SURROGATES = re.compile("[\ud800-\udfff]")
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


def clean(text: str) -> str:
    """Return `text` in a form that is valid in HTML and shows what is in it.

    Terminal colours go; control characters become their pictures, bidirectional overrides and
    surrogates (bytes that were no UTF-8) their escapes.
    """
    text = _COLOURS.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub(_escape, text.translate(_PICTURES))


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    is_byte = 0xDC80 <= code <= 0xDCFF  # noqa: PLR2004 - PEP 383's range for undecodable bytes
    return f"\\x{code - 0xDC00:02x}" if is_byte else f"\\u{code:04x}"


def head(text: str) -> str:
    """Return the start of a clean text, and how much was left out."""
    left = len(text) - LONGEST
    return text if left <= 0 else f"{text[:LONGEST]}\n[{left} more characters]"


def tail(text: str) -> str:
    """Return the end of a clean text, and how much was left out."""
    left = len(text) - LONGEST
    return text if left <= 0 else f"[{left} characters before]\n{text[-LONGEST:]}"


def href(path: str) -> str:
    """Return a relative path percent-encoded for an `href` or `src`; "" where it is not relative.

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
