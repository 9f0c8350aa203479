"""What is wrong with squeue, sacct and scontrol, as faults for shims.

Scripts that sites put round them change what they print, or refuse. Their listings lag behind, or
rows are missing or too early.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SEPARATOR = r"\x1f"

UNREACHABLE = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
TIMED_OUT = "slurm_load_jobs error: Socket timed out on send/recv operation"
DISABLED = "Slurm accounting storage is disabled"

PADDED = rf"""\
"$REAL" "$@" | sed -e 's/{SEPARATOR}/   &  /g' -e 's/$/    /'; exit 0"""
"""Blanks around each field, and the exit status is that of the last program."""

COLOURED = rf"""\
"$REAL" "$@" | sed -e 's/{SEPARATOR}/\x1b[0m&\x1b[1;36m/g' -e 's/^/\x1b[7m/' -e 's/$/\x1b[0m/'
exit 0"""
"""Colours around each field and row."""

NOISY = """\
echo 'Maintenance on Monday; see https://example.org/123'
echo 'warning: be polite to the controller' >&2
"$REAL" "$@"; code=$?; echo 'Thank you.'; exit "$code\""""
"""Lines of the site's own before and after the answer."""

LEAVES_A_CHILD = 'sleep 300 &\nexec "$REAL" "$@"'
"""Starts another program that keeps the outputs open."""

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


def refuses(message: str, code: int = 1, stream: int = 2) -> str:
    """Return a fault: each call ends with a message instead of an answer."""
    return f"echo '{message}' >&{stream}; exit {code}"


def refuses_often(message: str) -> str:
    """Return a fault: two of three calls end with a message."""
    return f"[ $((NUMBER % 3)) = 0 ] || {{ {refuses(message)}; }}"


def exports(**variables: str) -> str:
    """Return a fault: it sets variables for the real program, against what the caller chose."""
    return "\n".join(f"export {name}='{text}'" for name, text in variables.items())


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
