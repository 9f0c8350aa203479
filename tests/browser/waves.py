"""A convergence study as a real one would be: advection of a wave, solved here."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

from pytest_remex.report import Curve, Page, ReportRow

SCHEMES = {"upwind": 1, "lax": 2}
GRID = {"scheme": list(SCHEMES), "courant": [0.2, 0.4, 0.8], "resolution": [16, 32, 64, 128]}
BASES = ("9f31c2ab5d7e40668a1b0c2d3e4f5a6b7c8d9e0f", "11aa22bb33cc44dd55ee66ff77889900aabbccdd")


@lru_cache
def advected(scheme, courant, cells):
    """Return cell positions and a sine wave after one crossing of a periodic box."""
    wave = [math.sin(2 * math.pi * (i + 0.5) / cells) for i in range(cells)]
    for _ in range(round(cells / courant)):
        left = [wave[i - 1] for i in range(cells)]
        right = [wave[(i + 1) % cells] for i in range(cells)]
        if scheme == "upwind":
            wave = [w - courant * (w - a) for w, a in zip(wave, left, strict=True)]
        else:
            wave = [
                w - courant / 2 * (b - a) + courant**2 / 2 * (b - 2 * w + a)
                for w, a, b in zip(wave, left, right, strict=True)
            ]
    return [(i + 0.5) / cells for i in range(cells)], wave


def error(scheme, courant, cells):
    """Return the mean deviation from the exact wave."""
    xs, wave = advected(scheme, courant, cells)
    exact = (math.sin(2 * math.pi * x) for x in xs)
    return sum(abs(a - b) for a, b in zip(wave, exact, strict=True)) / cells


def waves(**more):
    """Return the report of 2 x 3 x 4 experiments; one failed its check, one has not ended."""
    points = [dict(zip(GRID, point, strict=True)) for point in itertools.product(*GRID.values())]
    page = {
        "title": "waves",
        "facts": {"cluster": "ada@login.cluster.example"},
        "dimensions": (*GRID, "gamma"),
        "measures": ("steps", "l1", "peak", "mass"),
        "rows": [row(place, point) for place, point in enumerate(points)],
        "curves": [curve(place, point) for place, point in enumerate(points) if place != 9],
    }
    return Page(**{**page, **more})


def name(place):
    """Return the name of a run directory."""
    return f"main_waves_sha_{place:012x}"


def row(place, point):
    """Return one experiment: number 5 failed its check, 17 its job, 9 still runs."""
    verdict, state, reason, cause = {
        5: ("FAILED", "COMPLETED", "assert l1 < 0.02\\n  0.3 is not", "assert l1 < 0.02"),
        17: ("FAILED", "FAILED", "exit 3: ERROR: feed too large", ""),
        9: ("RUNNING", "RUNNING", "", ""),
    }.get(place, ("PASSED", "COMPLETED", "", ""))
    scheme, courant, cells = point.values()
    found = {} if place in {9, 17} else {
        "steps": round(cells / courant),
        "l1": error(scheme, courant, cells),
        "peak": max(advected(scheme, courant, cells)[1]),
        "mass": 1 + 1e-9 * place,
    }  # fmt: skip
    return ReportRow(
        node=f"sweeps.py::waves[{'-'.join(f'{key}={value}' for key, value in point.items())}]",
        verdict=verdict,
        state=state,
        reason=reason,
        cause=cause,
        values={**point, "gamma": 1.4, **found},
        job=str(4200 + place),
        elapsed=None if place == 9 else 12.5 * cells,
        commit=f"{place:012x}" + BASES[0][12:],
        parent=BASES[place // 12],
        directory=name(place),
        diff=f"diff --git a/in b/in\n--- a/in\n+++ b/in\n@@ -1,2 +1,2 @@\n-nx = 8\n+nx = {cells}\n",
        log="cycle 1\ncycle 2\n",
        outputs=(("wave.csv", f"../runs/{name(place)}/wave.csv"),),
        launch=f"waves_2031_05_0{1 + place // 12}",
    )


def curve(place, point):
    """Return the wave of an experiment."""
    return Curve(name(place), "wave", *advected(*point.values()), "x (cm)", "u (cm/s)")
