"""Mean, spread and count of a measure over the replicates of a point."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Of several values: the mean, the sample standard deviation, and how many there are.

    `mean` is nan if there is no value, and `spread` if there are fewer than two.
    """

    mean: float
    spread: float
    count: int


def spread_of(values: Iterable[float]) -> Spread:
    """Return mean, spread and count of a measure's values.

    Args:
        values: A value for each replicate; nan is left out, and not counted.

    Example:
        >>> spread_of([1.0, 2.0, 3.0])
        Spread(mean=2.0, spread=1.0, count=3)

    """
    known = [float(value) for value in values if not math.isnan(value)]
    count = len(known)
    if not known:
        return Spread(math.nan, math.nan, 0)
    if not all(map(math.isfinite, known)):
        return Spread(sum(known) / count, math.nan, count)
    mean = math.fsum(value / count for value in known)
    if count == 1:
        return Spread(mean, math.nan, 1)
    largest = max(abs(value - mean) for value in known)
    if largest == 0:
        return Spread(mean, 0.0, count)
    squares = math.fsum(((value - mean) / largest) ** 2 for value in known)
    return Spread(mean, largest * math.sqrt(squares / (count - 1)), count)
