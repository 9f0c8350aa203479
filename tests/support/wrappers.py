"""Scripts that sites put round squeue, sacct and scontrol, as faults for shims."""

from __future__ import annotations

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

HANGS = "exec sleep 3600"
"""Never answers."""

LEAVES_A_CHILD = 'sleep 300 &\nexec "$REAL" "$@"'
"""Starts another program that keeps the outputs open."""


def refuses(message: str, code: int = 1, stream: int = 2) -> str:
    """Return a fault: each call ends with a message instead of an answer."""
    return f"echo '{message}' >&{stream}; exit {code}"


def refuses_often(message: str) -> str:
    """Return a fault: two of three calls end with a message."""
    return f"[ $((NUMBER % 3)) = 0 ] || {{ {refuses(message)}; }}"


def exports(**variables: str) -> str:
    """Return a fault: it sets variables for the real program, against what the caller chose."""
    return "\n".join(f"export {name}='{text}'" for name, text in variables.items())
