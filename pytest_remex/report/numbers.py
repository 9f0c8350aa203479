"""Numbers and durations as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_remex.model import Scalar

MINUTE, HOUR, DAY = 60, 3600, 86400


def shown(value: Scalar) -> str:
    """Give a value as text: floats with six significant digits, None as nothing."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def duration(seconds: float | None) -> str:
    """Give seconds as their two largest units, such as `2 h 05 min`; None as nothing."""
    if seconds is None:
        return ""
    whole = int(seconds + 0.5)
    if whole < MINUTE:
        return f"{seconds:.3g} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02d} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02d} min"
    return f"{whole // DAY} d {whole % DAY // HOUR:02d} h"
