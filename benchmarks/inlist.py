"""Read and patch inlists: this package and f90nml side by side.

The inlists are generated: one as large as the median one of MESA's test suite, 1.3 kB, and one of
24 kB.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import f90nml
from figures import Figures

from pytest_remex.extensions.mesa import patch_inlist, read_inlist

QUICK: dict[str, int] = {}
REPEATS = 51
TARGETS = {"median": (40, 0.5), "large": (700, 5.0)}
"""Settings of the inlist, and the time in ms that reading it, and patching it, may take."""


def measure(runs: int) -> list[Figures]:
    """Time both packages: a figure is the shortest of many times, for load only adds."""
    return [_compare(size, *TARGETS[size], runs) for size in TARGETS]


def _compare(size: str, settings: int, most: float, runs: int) -> Figures:
    figures = Figures(f"inlists: {size}, {len(inlist(settings))} bytes", "ms")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"inlist_{size}"
        path.write_text(inlist(settings))
        for task, ours, theirs in tasks(path):
            ways = {
                f"{task} here": lambda ours=ours: seconds(ours, path) * 1e3,
                f"{task} with f90nml": lambda theirs=theirs: seconds(theirs, path) * 1e3,
            }
            figures.measure(ways, runs)
            here, there = ways
            figures.target(f"{task} / f90nml's", figures.ratio(here, there), 1)
            figures.target(f"ms to {task}", figures.median(here), most)
    return figures


def inlist(settings: int) -> str:
    """Write an inlist as people do: a comment, a few settings of each kind, an empty line."""
    lines = ["! generated", "&controls"]
    for number in range(settings // 4):
        lines += [
            "",
            f"  ! about part {number}",
            f"  mass_of_part_{number} = {number + 0.5}d0 ! in solar masses",
            f"  use_part_{number} = .true.",
            f"  name_of_part_{number} = 'part {number}'",
            f"  weights({number + 1}) = 1d-{number % 9}",
        ]
    return "\n".join([*lines, "/ ! end", ""])


def tasks(path: Path) -> list[tuple[str, Callable[[], object], Callable[[], object]]]:
    """Return each task's name, and how the two packages do it."""
    copy = path.with_suffix(".patched")
    values = iter(range(10**6))

    def patch() -> None:
        patch_inlist(path, {"mass_of_part_2": next(values) + 0.25, "weights(3)": 0.5})

    def f90nml_patch() -> None:
        changed = {"controls": {"mass_of_part_2": next(values) + 0.25}}
        f90nml.patch(str(path), changed, str(copy))

    return [
        ("read", lambda: read_inlist(path), lambda: f90nml.read(path)),
        ("patch", patch, f90nml_patch),
    ]


def seconds(task: Callable[[], object], path: Path) -> float:
    """Time a task: the shortest of many times, each on a text that was not seen before."""
    times = []
    for number in range(REPEATS):
        with path.open("a") as file:
            file.write(f"! {number}\n")
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return min(times)
