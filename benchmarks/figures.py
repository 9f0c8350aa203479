"""The one form of what all benchmarks measure: rounds of several ways to do one thing, and targets.

A table shows ratios to the floors first, then medians with the range; JSON has every round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Target:
    """A figure and the most that it may be."""

    name: str
    value: float
    most: float

    @property
    def met(self) -> bool:
        """Whether the figure is low enough."""
        return self.value <= self.most


@dataclass(frozen=True)
class Figures:
    """What one benchmark measured: the rounds of each way.

    `floors` are short names, by the name of a way, of those that the others are compared with.
    """

    title: str
    unit: str = "s"
    floors: Mapping[str, str] = field(default_factory=dict)
    rounds: dict[str, list[float]] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)

    def measure(self, ways: Mapping[str, Callable[[], float]], runs: int) -> None:
        """Measure each way in turn, so many rounds."""
        for _ in range(runs):
            for name, way in ways.items():
                self.add(name, way())

    def add(self, name: str, value: float) -> None:
        """Take in a figure of a way, and show it."""
        print(f"  {value:10.3f} {self.unit}  {name}", flush=True)
        self.rounds.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        """Return the median of a way."""
        return median(self.rounds[name])

    def ratio(self, name: str, floor: str) -> float:
        """Return the median of one way over another's."""
        return self.median(name) / self.median(floor)

    def target(self, name: str, value: float, most: float) -> None:
        """Take in the most that a figure may be."""
        self.targets.append(Target(name, value, most))

    def table(self, *, with_targets: bool) -> Iterator[str]:
        """Return the lines of a table: ratios to the floors, the median, the range; targets."""
        yield f"{self.title} ({self.unit})"
        heads = "".join(f"{f'/ {short}':>14}" for short in self.floors.values())
        yield f"{heads}{'median':>14}{'range':>20}"
        for name, values in self.rounds.items():
            ratios = "".join(f"{self.ratio(name, floor):14.2f}" for floor in self.floors)
            span = f"{min(values):.3f} to {max(values):.3f}"
            yield f"{ratios}{median(values):14.3f}{span:>20}  {name}"
        for each in self.targets if with_targets else ():
            word = "met   " if each.met else "MISSED"
            yield f"{word}{each.value:9.2f} (at most {each.most:g})  {each.name}"

    def as_json(self) -> dict[str, Any]:
        """Return what a file keeps of it."""
        targets = {each.name: {"value": each.value, "most": each.most} for each in self.targets}
        return {"unit": self.unit, "rounds": self.rounds, "targets": targets}


def comparison(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[str]:
    """Return the lines of a table of the medians of two files, of the ways that both have."""
    yield f"{'before':>12}{'after':>12}{'ratio':>8}"
    for title, figures in before["figures"].items():
        old, new = figures["rounds"], after["figures"].get(title, {"rounds": {}})["rounds"]
        both = [name for name in old if name in new]
        if both:
            yield f"{title} ({figures['unit']})"
        for name in both:
            one, other = median(old[name]), median(new[name])
            yield f"{one:12.3f}{other:12.3f}{other / one:8.2f}  {name}"
