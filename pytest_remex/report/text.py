"""Text that a browser shows as it is meant, whatever a job wrote."""

from __future__ import annotations

import re

_COLOURS = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]")
_PICTURES = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10)} | {
    127: "\u2421",
    **{code: f"\\x{code:02x}" for code in range(0x80, 0xA0)},
    **{code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}
_SURROGATES = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """Give `text` in a form that is valid in HTML and shows what is in it.

    Terminal colours go; control characters become their pictures, bidirectional overrides and
    surrogates (bytes that were no UTF-8) their escapes.
    """
    text = _COLOURS.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub(_escape, text.translate(_PICTURES))


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    is_byte = 0xDC80 <= code <= 0xDCFF  # noqa: PLR2004 - PEP 383's range for undecodable bytes
    return f"\\x{code - 0xDC00:02x}" if is_byte else f"\\u{code:04x}"
