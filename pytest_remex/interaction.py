"""How the engines speak to a person without pytest: a phase's progress, a login's question."""

from __future__ import annotations

import getpass
from typing import Protocol

from pytest_remex.errors import RemoteError


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
