"""Time `pytest --remex-submit`, the whole command, against hand-written floors.

Every figure is of a fresh cluster on loopback; rounds alternate between the ways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import floors
from figures import Figures
from loopback import Loopback, Traffic, loopback
from measured import Ran
from star import more_files, write_sweep

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

QUICK = {"count": 30}

Way = Callable[[Loopback, int], Ran]


def measure(runs: int, count: int = 1000) -> list[Figures]:
    """Time launches, add latency, and count what they cost other machines."""
    return [_speed(count, runs), _latency(runs), _traffic(count)]


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


def _speed(count: int, runs: int) -> Figures:
    floors = {LOOP: "bash loop", PYTHON: "Python"}
    figures = Figures(f"launches of {count} experiments of 11 files", "s", floors)
    figures.measure(
        {name: lambda way=way: _seconds(way, count) for name, way in _ways().items()}, runs
    )
    best = min(floors, key=figures.median)
    figures.target(f"{SINGLE} / bash loop", figures.ratio(SINGLE, LOOP), 0.8)
    figures.target(f"{SINGLE} / the best floor", figures.ratio(SINGLE, best), 2.0)
    figures.target(f"{ARRAY} / bash loop", figures.ratio(ARRAY, LOOP), 0.5)
    return figures


def _latency(runs: int) -> Figures:
    near, far = "0 ms", f"{LATENCY} ms"
    figures = Figures(f"launches of {NEAR} experiments, with latency each way", "s", {near: near})
    figures.measure(
        {
            f"{latency} ms": lambda latency=latency: _seconds(submit, NEAR, latency)
            for latency in (0, LATENCY)
        },
        runs,
    )
    added = figures.median(far) - figures.median(near)
    figures.target(f"seconds that {LATENCY} ms of latency add", added, 3.0)
    return figures


def _traffic(count: int) -> Figures:
    figures = Figures(f"traffic of a launch of {FEW}, and of {count}", "times")
    (few, first), (many, batches) = (_launched(each) for each in (FEW, count))
    for part in (each.name for each in fields(Traffic)):
        one, other = getattr(few, part), getattr(many, part)
        figures.add(f"{part} at {FEW}", one)
        figures.add(f"{part} at {count}", other)
        allowed = batches - first if part in {"pushes", "fetches"} else 0
        figures.target(f"{part} beyond those at {FEW}, batches apart", other - one - allowed, 0)
    return figures


def _launched(count: int) -> tuple[Traffic, int]:
    """Return the traffic of a launch, and in how many batches it went out."""
    with loopback(more_files()) as site:
        site.watch_git()
        submit(site, count)
        (record,) = (site.project.repository / "remex-output" / "launches").glob("*.jsonl")
        return site.traffic(), record.read_bytes().count(b'"PUSHING"')


def _seconds(way: Way, count: int, latency: float = 0) -> float:
    with loopback(more_files(), latency=latency) as site:
        ran = way(site, count)
        if site.queued() != count:
            raise RuntimeError(f"{site.queued()} of {count} jobs are queued:\n{ran.output}")
        return ran.seconds
