"""Measure every mode as a whole command: wall and processor time, and compare two commits.

    python benchmarks/modes.py --json here.json
    python benchmarks/modes.py --compare there.json here.json

It needs root and the packages that tests/cluster needs. Each round is on clusters of its own. A
comparison leaves out what only one of the two has.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median

from collect import SMALL, finished
from loopback import Loopback, loopback, use_memory
from star import more_files, write_sweep

CODES = (0, 1, 10)
SETTINGS = {"MaxArraySize": "1001", "MaxJobCount": "60000"}
LAUNCH = {
    "plan": ("--remex-plan",),
    "submit": ("--remex-submit", "--remex-yes"),
    "submit, all submitted": ("--remex-submit",),
    "status": ("--remex-status",),
    "cancel": ("--remex-cancel",),
}
ARRAY = {
    "submit as an array": ("--remex-submit", "--remex-array", "--remex-yes"),
    "cancel of an array": ("--remex-cancel",),
}
NOTHING = {"status, nothing submitted": ("--remex-status",)}
"""What pytest itself and one connection take: the floor."""

Figures = dict[str, list[tuple[float, float]]]
"""By mode the wall and processor seconds of each round."""


def main() -> int:
    """Measure, or compare what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000, help="experiments (default 1000)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--json", type=Path, help="file for the figures (default: none)")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"))
    options = parser.parse_args()
    if options.compare:
        compare(*(json.loads(path.read_text()) for path in options.compare))
        return 0
    use_memory()
    figures: Figures = {}
    for _ in range(options.runs):
        _round(options.n, figures)
    table(figures)
    if options.json:
        options.json.write_text(json.dumps({"n": options.n, "seconds": figures}, indent=1) + "\n")
    return 0


def _round(count: int, figures: Figures) -> None:
    for ways in ({**NOTHING, **LAUNCH}, ARRAY):
        with loopback(more_files(), settings=SETTINGS) as site:
            write_sweep(site.project.repository, count)
            for name, words in ways.items():
                _measure(site, name, words, figures)
    with finished(count, SMALL) as site:
        for name in ("collect", "collect, nothing changed"):
            _measure(site, name, ("--remex-collect",), figures)


def _measure(site: Loopback, name: str, words: tuple[str, ...], figures: Figures) -> None:
    ran = site.pytest(*words, codes=CODES)
    figures.setdefault(name, []).append((ran.seconds, ran.busy))
    print(f"  {ran.seconds:8.2f} s, processor {ran.busy:8.2f} s  {name}", flush=True)


def table(figures: Figures) -> None:
    """Print medians, and each mode over the floor."""
    floor = _medians(figures[next(iter(NOTHING))])
    print(f"{'wall s':>10}{'/ floor':>10}{'processor s':>14}{'/ floor':>10}")
    for name, rounds in figures.items():
        wall, processor = _medians(rounds)
        print(
            f"{wall:10.2f}{wall / floor[0]:10.2f}{processor:14.2f}"
            f"{processor / floor[1]:10.2f}  {name}"
        )


def compare(before: dict[str, Figures], after: dict[str, Figures]) -> None:
    """Print two commits' medians and their ratios, of the modes that both have."""
    print(f"{'wall before':>12}{'after':>9}{'ratio':>8}{'cpu before':>12}{'after':>9}{'ratio':>8}")
    for name, rounds in before["seconds"].items():
        if name in after["seconds"]:
            old, new = _medians(rounds), _medians(after["seconds"][name])
            pairs = zip(old, new, strict=True)
            cells = "".join(f"{one:12.2f}{other:9.2f}{other / one:8.2f}" for one, other in pairs)
            print(f"{cells}  {name}")


def _medians(rounds: list[tuple[float, float]]) -> tuple[float, float]:
    walls, processors = zip(*rounds, strict=True)
    return median(walls), median(processors)


if __name__ == "__main__":
    sys.exit(main())
