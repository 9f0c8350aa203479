"""Variants of a grid: the same sweeps on another base (--remex-base) or remote (--remex-remote).

A run belongs to the variant that it was launched for. It appears with another one only if both make
the same experiment. Each variant has tables, links and a report of its own.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import NamedTuple

from pytest_remex.names import safe_folder


class Variant(NamedTuple):
    """A variant of a grid. Without values it is `GRID`, the grid as its sweeps say, which is false.

    Args:
        base: The branch, tag or commit that replaces `branch` of every sweep, as written.
        remote: The name of the remote that it runs on.

    Example:
        >>> Variant(base="v1.2").folder
        PurePosixPath('bases/v1.2')

    """

    base: str = ""
    remote: str = ""

    def __bool__(self) -> bool:
        """Return whether the command line replaces what the sweeps say."""
        return self != GRID

    @property
    def texts(self) -> str:
        """Its values as one text, for a check that they can be shown."""
        return self.base + self.remote

    @property
    def folder(self) -> PurePosixPath:
        """The folder of its tables, in the folder of a sweep's results."""
        parts = [("bases", self.base), ("remotes", self.remote)]
        return PurePosixPath(
            *(f"{kind}/{safe_folder(value)}" for kind, value in parts if value),
        )

    @property
    def title(self) -> str:
        """Its name in messages: `on v1.2`; empty for the grid itself."""
        parts = [("on", self.base), ("at", self.remote)]
        return " ".join(f"{word} {value}" for word, value in parts if value)

    @property
    def options(self) -> str:
        """The options of the command line for it; empty for the grid itself."""
        parts = [("base", self.base), ("remote", self.remote)]
        return " ".join(f"--remex-{name}={value}" for name, value in parts if value)


GRID = Variant()
"""The grid as its sweeps say."""
