"""Time `pytest --remex-submit`, the whole command, against hand-written floors, in one run.

    python benchmarks/launch.py

It needs root and the packages that tests/cluster needs. Every figure is of a fresh cluster on
loopback; rounds alternate between the ways, and medians are compared.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import astuple, fields
from math import ceil
from statistics import median

import floors
from figures import Target, measure, print_ratios, print_targets, ratio
from loopback import Loopback, Traffic, loopback, use_memory
from measured import Ran
from star import more_files, write_sweep

from pytest_remex.launch.submitter import BATCH

SINGLE = "pytest --remex-submit"
ARRAY = "pytest --remex-submit --remex-array"
LOOP = "floor: bash loop of mkdir, cp, sed, sbatch"
PYTHON = "floor: one Python process writes the files, 4 sbatch at a time"
ONE_ARRAY = "floor: the same with one array"
BARE = "floor: sbatch alone, {} at a time"
FEW = 10
"""Experiments of the launch whose traffic is compared with that of the large one."""
LATENCY = 50
"""Milliseconds that the proxy adds, each way."""
NEAR = 100
"""Experiments of the launches with and without latency."""

Way = Callable[[Loopback, int], Ran]


def main() -> int:
    """Measure and print; the exit code says whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000, help="experiments (default 1000)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--ssh", action="store_true", help="the user reaches origin through ssh")
    options = parser.parse_args()
    use_memory()
    targets = [
        *_speed(options.n, options.runs, through_ssh=options.ssh),
        *_latency(options.runs, through_ssh=options.ssh),
        *_traffic(options.n, through_ssh=options.ssh),
    ]
    print()
    return print_targets(targets)


def submit(site: Loopback, count: int, *options: str) -> Ran:
    """Submit a sweep of so many experiments."""
    write_sweep(site.project.repository, count)
    return site.pytest("--remex-submit", *options)


def _ways() -> dict[str, Way]:
    return {
        SINGLE: submit,
        ARRAY: lambda site, count: submit(site, count, "--remex-array"),
        LOOP: floors.bash_loop,
        PYTHON: floors.python,
        ONE_ARRAY: floors.python_array,
        BARE.format(1): lambda site, count: floors.bare_sbatch(site, count, 1),
        BARE.format(4): lambda site, count: floors.bare_sbatch(site, count, 4),
    }


def _speed(count: int, runs: int, *, through_ssh: bool) -> list[Target]:
    print(f"\n{count} experiments of 11 files: seconds until the command has ended")
    ways = {
        name: lambda way=way: _seconds(way, count, through_ssh=through_ssh)
        for name, way in _ways().items()
    }
    figures = measure(ways, runs)
    print_ratios(figures, {LOOP: "bash loop", PYTHON: "Python"})
    best = min((LOOP, PYTHON), key=lambda name: median(figures[name]))
    return [
        Target(f"{SINGLE} / bash loop", ratio(figures, SINGLE, LOOP), 0.8),
        Target(f"{SINGLE} / the best floor", ratio(figures, SINGLE, best), 2.0),
        Target(f"{ARRAY} / bash loop", ratio(figures, ARRAY, LOOP), 0.5),
    ]


def _latency(runs: int, *, through_ssh: bool) -> list[Target]:
    print(f"\n{NEAR} experiments, and {LATENCY} ms of latency each way")
    ways = {
        f"{latency} ms": lambda latency=latency: _seconds(
            submit, NEAR, through_ssh=through_ssh, latency=latency
        )
        for latency in (0, LATENCY)
    }
    figures = measure(ways, runs)
    print_ratios(figures, {"0 ms": "0 ms"})
    added = median(figures[f"{LATENCY} ms"]) - median(figures["0 ms"])
    return [Target(f"seconds that {LATENCY} ms of latency add to {NEAR} experiments", added, 3.0)]


def _traffic(count: int, *, through_ssh: bool) -> list[Target]:
    print("\ntraffic of one launch")
    names = [field.name for field in fields(Traffic)]
    print("".join(f"{name:>17}" for name in ["experiments", *names]))
    few, many = (_launched(each, through_ssh=through_ssh) for each in (FEW, count))
    for each, traffic in ((FEW, few), (count, many)):
        print("".join(f"{figure:17}" for figure in [each, *astuple(traffic)]))
    batches = ceil(count / BATCH) - 1
    pushes = batches if through_ssh else 0
    return [
        Target(f"{name} at {count} beyond those at {FEW}, batches apart", more, 0)
        for name, more in (
            ("connections", many.connections - few.connections - pushes),
            ("log-ins", many.authentications - few.authentications - pushes),
            ("sessions", many.sessions - few.sessions - pushes),
            ("pushes", many.pushes - few.pushes - batches),
            ("fetches", many.fetches - few.fetches - batches),
        )
    ]


def _launched(count: int, *, through_ssh: bool) -> Traffic:
    with loopback(more_files(), through_ssh=through_ssh) as site:
        site.watch_git()
        submit(site, count)
        return site.traffic()


def _seconds(way: Way, count: int, *, through_ssh: bool, latency: float = 0) -> float:
    with loopback(more_files(), latency=latency, through_ssh=through_ssh) as site:
        ran = way(site, count)
        if site.queued() != count:
            raise RuntimeError(f"{site.queued()} of {count} jobs are queued:\n{ran.output}")
        return ran.seconds


if __name__ == "__main__":
    sys.exit(main())
