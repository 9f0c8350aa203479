"""Compare measures with those of the same experiment on another base, within tolerances.

With replicates, means are compared by their spread.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from pytest_remex.model import Scalar, Tolerance

Measures: TypeAlias = Mapping[str, Scalar]

FLOATS = Tolerance(rel=1e-9)
"""The tolerance for floats if the sweep does not set one."""
EXACT = Tolerance()
_VISIBLE = 5e-4
"""The smallest relative difference that is shown in percent."""


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


class Difference(NamedTuple):
    """How one measure compares.

    Attributes:
        name: The measure.
        delta: The value here minus the value there; None if one is NaN or not a number.
        sigma: The same in standard errors of the difference, with replicates.
        text: The difference in words; empty if the values are equal.
        fails: Whether it is beyond the tolerance.

    """

    name: str
    delta: float | None = None
    sigma: float | None = None
    text: str = ""
    fails: bool = False


class Comparison(NamedTuple):
    """An experiment's measures compared with another base; `title` names it: `on v1.2`.

    `only_here` and `only_there` are measures that one side lacks, which is no failure.
    """

    title: str
    differences: tuple[Difference, ...]
    only_here: tuple[str, ...] = ()
    only_there: tuple[str, ...] = ()

    @property
    def failure(self) -> str:
        """The differences beyond their tolerances, on one line; empty if there are none."""
        return "; ".join(each.text for each in self.differences if each.fails)


def compare(
    here: Sequence[Measures],
    there: Sequence[Measures],
    tolerances: Mapping[str, Tolerance],
    title: str,
) -> Comparison:
    """Compare the measures of an experiment, or of all replicates of a point.

    NaN equals NaN. Measures that `tolerances` does not name use its entry ""; without one,
    whole numbers, text and booleans must be equal, and other numbers within 1e-9.

    Args:
        here: The measures of each replicate; of one run without replicates.
        there: The same on the other base.
        tolerances: The tolerance of each measure, by name.
        title: The name of the other base in messages.

    """
    names = [list(dict.fromkeys(name for each in side for name in each)) for side in (here, there)]
    both = [name for name in names[0] if name in names[1]]
    return Comparison(
        title,
        tuple(
            _difference(name, _values(here, name), _values(there, name), tolerances, title)
            for name in both
        ),
        tuple(name for name in names[0] if name not in both),
        tuple(name for name in names[1] if name not in both),
    )


def _values(side: Iterable[Measures], name: str) -> list[Scalar]:
    return [each[name] for each in side if name in each]


def _difference(
    name: str,
    here: Sequence[Scalar],
    there: Sequence[Scalar],
    tolerances: Mapping[str, Tolerance],
    title: str,
) -> Difference:
    tolerance = _tolerance_of(name, [*here, *there], tolerances)
    if not all(map(_is_number, (*here, *there))):
        return _of_words(name, here, there, title)
    if len(here) == len(there) == 1:
        return _of_numbers(name, _number(here[0]), _number(there[0]), tolerance, title)
    one, other = (spread_of(map(_number, side)) for side in (here, there))
    return _of_spreads(name, one, other, tolerance, title)


def _tolerance_of(
    name: str, values: Iterable[Scalar], tolerances: Mapping[str, Tolerance]
) -> Tolerance:
    if name in tolerances:
        return tolerances[name]
    return tolerances.get("", FLOATS) if any(type(each) is float for each in values) else EXACT


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Scalar) -> float:
    return value if isinstance(value, int | float) else math.nan


def _of_words(name: str, here: Sequence[Scalar], there: Sequence[Scalar], title: str) -> Difference:
    one, other = (sorted(map(repr, side)) for side in (here, there))
    if one == other:
        return Difference(name)
    shown = [", ".join(dict.fromkeys(side)) for side in (one, other)]
    text = f"{name} {shown[0]:.60}, {title} {shown[1]:.60} (must be equal)"
    return Difference(name, text=text, fails=True)


def _of_numbers(
    name: str, here: float, there: float, tolerance: Tolerance, title: str
) -> Difference:
    if here == there or (math.isnan(here) and math.isnan(there)):
        return Difference(name, None if math.isnan(here) else 0.0)
    if not (math.isfinite(here) and math.isfinite(there)):
        text = f"{name} {here}, {title} {there} (must be equal)"
        return Difference(name, text=text, fails=True)
    delta, (one, other) = here - there, _told(here, there)
    shown = _shown_delta(delta, there, tolerance)
    text = f"{name} {one}, {title} {other} ({shown}, {_allowed(tolerance)})"
    return Difference(name, delta, None, text, not _is_within(delta, there, tolerance))


def _of_spreads(
    name: str, here: Spread, there: Spread, tolerance: Tolerance, title: str
) -> Difference:
    # one run says nothing of its spread: it is taken to be that of the other side
    spreads = [
        each.spread if each.count > 1 else other.spread
        for each, other in ((here, there), (there, here))
    ]
    errors = [
        spread / math.sqrt(each.count) if spread and each.count else 0.0
        for spread, each in zip(spreads, (here, there), strict=True)
    ]
    error = math.hypot(*errors)
    if not error or not math.isfinite(error) or not math.isfinite(here.mean - there.mean):
        return _of_numbers(name, here.mean, there.mean, tolerance, title)
    delta = here.mean - there.mean
    sigma = delta / error
    one, other = _told(here.mean, there.mean)
    text = (
        f"{name} {one} ± {_short(errors[0])}, {title} {other} ± {_short(errors[1])}: differs by "
        f"{abs(sigma):.1f} sigma (allowed {tolerance.sigma:g})"
    )
    fails = abs(sigma) > tolerance.sigma and not _is_within(delta, there.mean, tolerance)
    return Difference(name, delta, sigma, text, fails)


def _is_within(delta: float, there: float, tolerance: Tolerance) -> bool:
    relative, absolute = tolerance.rel or 0.0, tolerance.abs or 0.0
    return abs(delta) <= max(relative * abs(there), absolute)


def _allowed(tolerance: Tolerance) -> str:
    bounds = [_short(tolerance.rel)] if tolerance.rel else []
    bounds += [f"±{_short(tolerance.abs)}"] if tolerance.abs else []
    return f"allowed {' or '.join(bounds)}" if bounds else "must be equal"


def _shown_delta(delta: float, there: float, tolerance: Tolerance) -> str:
    if not there or (tolerance.abs is not None and tolerance.rel is None):
        return f"{'+' * (delta > 0)}{_short(delta)}"
    relative = delta / abs(there)
    if abs(relative) < _VISIBLE:
        return f"{'+' * (delta > 0)}{_short(relative)} relative"
    return f"{100 * relative:+.1f} %" if abs(relative) < 10 else f"{relative:+.3g} times as much"  # noqa: PLR2004 - then percent say less


def _short(value: float) -> str:
    return _tidy(f"{value:.2g}")


def _told(one: float, other: float) -> tuple[str, str]:
    """Return two numbers with as few digits as tell them apart, three at least."""
    if isinstance(one, int) and isinstance(other, int):
        return str(one), str(other)
    for digits in range(3, 17):
        texts = [f"{each:#.{digits}g}" for each in (one, other)]
        if texts[0] != texts[1]:
            return _tidy(texts[0]), _tidy(texts[1])
    return repr(one), repr(other)


def _tidy(text: str) -> str:
    """Write 1.02e+07 as 1.02e7."""
    number, e, power = text.partition("e")
    return f"{number}e{int(power)}" if e else number.removesuffix(".")
