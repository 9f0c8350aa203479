"""Show things to the user: the progress of a phase, a login's question, text from a job."""

from __future__ import annotations

import getpass
import re
from collections.abc import Sequence
from typing import Protocol

from pytest_remex.errors import RemoteError

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
"""Escape sequences of a terminal: colours, cursor movements, titles."""
_PICTURES = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10)} | {
    127: "\u2421",
    **{code: f"\\x{code:02x}" for code in range(0x80, 0xA0)},
    **{code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}
SHOWN = 5
"""The most names that a message lists."""
_SURROGATES = re.compile("[\ud800-\udfff]")


class Progress(Protocol):
    """A callable that shows the progress of a phase."""

    def __call__(self, phase: str, done: int, total: int, detail: str = "") -> None:
        """Show that `done` of `total` items of a phase are done.

        Args:
            phase: What is being done, such as "placing".
            done: How many of them are done.
            total: How many there are.
            detail: More about it, such as a transfer's speed.
        """


def show_nothing(phase: str, done: int, total: int, detail: str = "") -> None:
    """Show nothing: a `Progress` for when output goes to a file or a pipe."""


def ask_at_terminal(text: str, *, echo: bool) -> str:
    """Ask the user at the terminal, even if standard input and output are redirected.

    Args:
        text: The question.
        echo: Whether to show the answer while it is typed; False for a password.

    Returns:
        The answer, without the line break.

    Raises:
        RemoteError: There is no terminal.
    """
    try:
        with open("/dev/tty", "r+", encoding="utf-8") as tty:  # noqa: PTH123 - a device
            if not echo:
                return getpass.getpass(text, stream=tty)
            tty.write(text)
            tty.flush()
            return tty.readline().rstrip("\n")
    except OSError as error:
        raise RemoteError(
            f"the cluster asks {text.strip()!r}, but there is no terminal to answer it: "
            f"run the command in a terminal, or load the key with ssh-add"
        ) from error


def one_line(text: str) -> str:
    """Return a text as one line of printable characters."""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())


def counted(count: int, noun: str) -> str:
    """Return `1 experiment` or `2 experiments`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def some_of(names: Sequence[str], most: int = SHOWN) -> str:
    """Return names on one line, at most so many, and how many more there are.

    Example:
        >>> some_of(["a", "b", "c"], 2)
        'a, b and 1 more'

    """
    shown = ", ".join(name if name.isprintable() else ascii(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def clean(text: str) -> str:
    """Make text safe to show in any terminal or browser.

    Escape sequences are removed; control characters become their pictures; bidirectional overrides
    and surrogates (bytes that were not UTF-8) become escapes.
    """
    if text.isascii() and text.isprintable():
        return text  # as nearly always: a copy for each experiment takes memory
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub(_escape, text.translate(_PICTURES))


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    is_byte = 0xDC80 <= code <= 0xDCFF  # noqa: PLR2004 - PEP 383's range for undecodable bytes
    return f"\\x{code - 0xDC00:02x}" if is_byte else f"\\u{code:04x}"
