"""The first lines of MESA's output files.

Numbers of the header's columns, their names, their values, a blank line, numbers and names of the
columns; then the rows. Source: star/private/history.f90 and profile.f90 of MESA.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER_LINES = 6


def has_mesa_layout(lines: Sequence[str]) -> bool:
    """Whether a file's first lines are those of MESA's output files."""
    if len(lines) < HEADER_LINES or lines[3].strip():
        return False
    return all(
        lines[at].split() == [str(number) for number in range(1, len(lines[at + 1].split()) + 1)]
        for at in (0, 4)
    )
