"""What the benchmarks print: ratios first, then medians with the range; which targets are met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


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


def measure(ways: Mapping[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """Measure each way in turn, so many rounds, and show each figure as it comes."""
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(1, runs + 1):
        for name, way in ways.items():
            figures[name].append(way())
            print(f"  round {number}: {figures[name][-1]:8.2f}  {name}", flush=True)
    return figures


def print_ratios(
    figures: Mapping[str, Sequence[float]], floors: Mapping[str, str], unit: str = "s"
) -> None:
    """Print a row for each way: its median over each floor's, and its median with the range.

    `floors` are short names by the name of the way.
    """
    heads = "".join(f"{f'/ {short}':>12}" for short in floors.values())
    print(f"{heads}{f'median {unit}':>12}{'range':>16}")
    for name, seconds in figures.items():
        ratios = "".join(f"{ratio(figures, name, floor):12.2f}" for floor in floors)
        span = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(f"{ratios}{median(seconds):12.2f}{span:>16}  {name}")


def ratio(figures: Mapping[str, Sequence[float]], name: str, floor: str) -> float:
    """Return one way's median over another's."""
    return median(figures[name]) / median(figures[floor])


def print_targets(targets: Sequence[Target]) -> int:
    """Print figures with their targets; give the exit code: 1 where one is missed."""
    for each in targets:
        word = "met   " if each.met else "MISSED"
        print(f"{word}{each.value:9.2f} (at most {each.most:g})  {each.name}")
    return int(not all(each.met for each in targets))
