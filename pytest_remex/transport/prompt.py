"""How a login asks the user."""

from __future__ import annotations

from typing import Protocol


class Prompt(Protocol):
    """Ask the user: for a passphrase, a password, or a second factor."""

    def __call__(self, text: str, *, echo: bool) -> str:
        """Show `text` and give the answer; `echo` says whether the typing may show."""
