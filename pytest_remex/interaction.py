"""How the engines speak to a person: a phase's progress, a login's question, text of a job."""

from __future__ import annotations

import getpass
import re
from typing import Protocol

from pytest_remex.errors import RemoteError

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
"""Colours and movements of a terminal, and what sets its title."""
_PICTURES = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10)} | {
    127: "\u2421",
    **{code: f"\\x{code:02x}" for code in range(0x80, 0xA0)},
    **{code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}
_SURROGATES = re.compile("[\ud800-\udfff]")


class Progress(Protocol):
    """A callable that shows how far a phase is."""

    def __call__(self, phase: str, done: int, total: int, detail: str = "") -> None:
        """Show that `done` of `total` things of a phase are done.

        Args:
            phase: What is being done, such as "placing".
            done: How many of them are done.
            total: How many there are.
            detail: More about it, such as a transfer's speed.
        """


def show_nothing(phase: str, done: int, total: int, detail: str = "") -> None:
    """Show nothing: a `Progress` for output that goes to a file or a pipe."""


def ask_at_terminal(text: str, *, echo: bool) -> str:
    """Ask the user at the terminal, whatever standard input and output are.

    Args:
        text: The question.
        echo: Whether the answer is shown as it is typed; a password is not.

    Returns:
        The answer, without the end of its line.

    Raises:
        RemoteError: Where there is no terminal.
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
            f"the cluster asks {text.strip()!r} and there is no terminal to answer at: "
            f"run the command in one, or load the key with ssh-add"
        ) from error


def one_line(text: str) -> str:
    """Return a text as one line that any terminal shows, without what is not printable."""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())


def counted(count: int, noun: str) -> str:
    """Return `1 experiment` or `2 experiments`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def clean(text: str) -> str:
    """Return `text` as any terminal and browser shows it: what is in it, and nothing else happens.

    A terminal's colours and titles go; control characters become their pictures, bidirectional
    overrides and surrogates (bytes that were no UTF-8) their escapes.
    """
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATES.sub(_escape, text.translate(_PICTURES))


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    is_byte = 0xDC80 <= code <= 0xDCFF  # noqa: PLR2004 - PEP 383's range for undecodable bytes
    return f"\\x{code - 0xDC00:02x}" if is_byte else f"\\u{code:04x}"
