"""Faults of squeue and sacct for shims: a cache that lags, rows that are missing or too early."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PARTIAL = '"$REAL" "$@" | awk "NR % 2"; exit 0'
"""Every second row is missing, and the exit status is 0."""

PARTIAL_AND_FAILED = '"$REAL" "$@" | awk "NR % 2"; exit 1'
"""Every second row is missing, and the exit status says that it failed."""

CUT = '"$REAL" "$@" | head -c 150; exit 0'
"""The listing ends within a row."""

EARLY = r"""
"$REAL" "$@" | sed -E 's/^([0-9]+)_0(\x1f[^\x1f]*\x1f)COMPLETED/\1_[0-2]\2CANCELLED/' |
    sed -E '/^[0-9]+_[12]\x1f/d'
exit 0"""
"""One row says that all three tasks of an array were cancelled before they started.

slurmdbd has such a row for a moment when the first of the tasks is cancelled.
"""


def blind(folder: Path, seconds: float) -> str:
    """Return a fault: for so many seconds from the first call on, no job is listed."""
    first = shlex.quote(str(folder / "first-listing"))
    return f"""\
[ -e {first} ] || date +%s >{first}
[ $(($(date +%s) - $(cat {first}))) -ge {seconds:.0f} ] || exit 0"""


def cached(folder: Path, seconds: float) -> str:
    """Return a fault: equal calls get the answer to the first of them for so many seconds."""
    place = shlex.quote(str(folder))
    return f"""\
answer={place}/answer-$(printf %s "$*" | cksum | tr -d ' ')
if [ ! -e "$answer" ] || [ $(($(date +%s) - $(stat -c %Y "$answer"))) -ge {seconds:.0f} ]; then
    "$REAL" "$@" >"$answer.$$" && mv "$answer.$$" "$answer"
fi
cat "$answer"; exit 0"""
