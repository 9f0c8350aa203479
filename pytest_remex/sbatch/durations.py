"""Time limits and durations as Slurm reads and writes them."""

from __future__ import annotations

import re

from pytest_remex.errors import SweepError


def parse_duration(text: str) -> float | None:
    """Parse a time limit in one of sbatch's formats; return seconds, or None for no limit.

    The formats: minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes,
    days-hours:minutes:seconds; and 0, -1, INFINITE or UNLIMITED.

    Raises:
        SweepError: The text has none of these formats.

    """
    if text.upper() in {"-1", "INFINITE", "UNLIMITED"}:
        return None
    if not re.fullmatch(r"\d+(-\d+(:\d+){0,2}|(:\d+){0,2})", text, re.ASCII):
        raise SweepError(
            f"--time={text!r} is not a time limit: write minutes, hours:minutes:seconds "
            f"or days-hours:minutes:seconds"
        )
    days, dash, rest = text.rpartition("-")
    fields = [int(each) for each in rest.split(":")]
    if not dash and len(fields) < 3:  # noqa: PLR2004 - without days, and below three fields, minutes lead
        fields.insert(0, 0)
    hours, minutes, seconds = (*fields, 0, 0)[:3]
    return float(int(days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds) or None


def format_duration(seconds: float) -> str:
    """Return a duration as Slurm writes it: `00:05:00`, `1-02:03:04`."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    clock = f"{hour:02d}:{minute:02d}:{second:02d}"
    return f"{days}-{clock}" if days else clock
