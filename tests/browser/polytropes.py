"""A sweep's report as a real one would be: polytropes, solved here with the Lane-Emden equation."""

from __future__ import annotations

import itertools
import struct
import zlib
from functools import lru_cache

from pytest_remex.report import Page, ReportRow

BASE = "9f31c2ab5d7e40668a1b0c2d3e4f5a6b7c8d9e0f"


@lru_cache
def lane_emden(n, step):
    """Return xi, theta and -xi^2 theta' up to the first zero, of a polytrope of index n."""
    xi, theta, mass = 1e-4, 1.0, 0.0
    profile = [(xi, theta, mass)]
    while theta > 0:

        def slope(x, t):
            return x**2 * max(t, 0.0) ** n

        middle = theta - step / 2 * mass / xi**2
        mass_middle = mass + step / 2 * slope(xi, theta)
        half = xi + step / 2
        theta -= step * mass_middle / half**2
        mass += step * slope(half, middle)
        xi += step
        profile.append((xi, theta, mass))
    return profile


def measures(n, step):
    """Return what the sweep's function would return."""
    (x0, t0, _), (x1, t1, mass) = lane_emden(n, step)[-2:]
    zero = x0 + (x1 - x0) * t0 / (t0 - t1)
    return {
        "first_zero": zero,
        "surface_mass": mass,
        "concentration": zero**3 / (3 * mass),
        "steps": len(lane_emden(n, step)),
    }


def polytropes(**grid):
    """Return the report of a sweep over a grid of n, step, boundary...; one in nine fails."""
    points = [dict(zip(grid, point, strict=True)) for point in itertools.product(*grid.values())]
    return Page(
        title="polytropes",
        facts={
            "sweep": "sweeps.py::polytropes",
            "base commit": f"{BASE[:12]} (main)",
            "launch": "polytropes_2031_05_04_10_11_12",
            "cluster": "ada@login.cluster.example",
            "core-hours used": f"{0.31 * len(points):.1f}",
        },
        dimensions=tuple(grid),
        measures=("first_zero", "surface_mass", "concentration", "steps"),
        rows=[row(place, point) for place, point in enumerate(points)],
    )


def row(place, point):
    """Return one experiment: most pass; some fail, run or wait, at fixed places."""
    verdict, state, reason = OUTCOMES.get(place % 18, ("PASSED", "COMPLETED", ""))
    name = "-".join(f"{key}={value}" for key, value in point.items())
    found = measures(point.get("n", 1.5), point.get("step", 0.01)) if verdict == "PASSED" else {}
    directory = f"main_polytropes_time_2031_05_04_10_11_12_sha_{place:012x}"
    here = f"../runs/{directory}"
    ended = state in {"COMPLETED", "TIMEOUT", "FAILED"}
    return ReportRow(
        node=f"sweeps.py::polytropes[{name}]",
        verdict=verdict,
        state=state,
        reason=reason,
        values={**point, **found},
        job=str(898024 + place),
        elapsed=61.5 + 37 * (place % 101) if ended else None,
        commit=f"{place:012x}" + BASE[12:],
        parent=BASE,
        directory=directory,
        diff=diff(point),
        log=log(place, point, reason) if ended else "",
        outputs=(("profile.csv", f"{here}/profile.csv"), ("slurm.out", f"{here}/slurm.out"))
        if ended
        else (),
    )


OUTCOMES = {
    7: (
        "FAILED",
        "TIMEOUT",
        "job 898031 ended TIMEOUT (TimeLimit)\nran 1:00:00 of 1:00:00 allowed",
    ),
    11: (
        "FAILED",
        "COMPLETED",
        "assert history.theta.iloc[-1] < 1e-3\n  0.0412 is not below 0.001",
    ),
    15: ("RUNNING", "RUNNING", ""),
    16: ("PENDING", "PENDING", "Priority"),
}


def diff(point):
    """Return the patch of an inlist."""
    lines = [f"-  {key} = 1.0\n+  {key} = {value}" for key, value in point.items()]
    body = "\n".join(lines) or "+  n = 1.5"
    return (
        "diff --git a/inlist b/inlist\n--- a/inlist\n+++ b/inlist\n"
        f" -2,{len(point) + 3} +2,{len(point) + 3}  &polytrope\n"
        f"   ! the Lane-Emden equation\n{body}\n   tolerance = 1d-9\n /\n"
    )


def log(place, point, reason):
    """Return the end of a job's output, thirty lines of it."""
    profile = lane_emden(point.get("n", 1.5), point.get("step", 0.01))
    some = profile[:: max(1, len(profile) // 28)][-28:]
    lines = [
        f"{at:6d}  xi = {x + place * 1e-6:12.7f}  theta = {t:12.8f}  mass = {m:11.7f}"
        for at, (x, t, m) in enumerate(some)
    ]
    last = "slurmstepd: error: *** JOB CANCELLED DUE TO TIME LIMIT ***" if reason else "done"
    return "\n".join([*lines, last]) + "\n"


def png(n, width=240, height=160):
    """Return a picture of theta against xi, as the bytes of a PNG file."""
    profile = lane_emden(n, 0.01)
    dark = set()
    for xi, theta, _ in profile:
        column = min(width - 1, int(xi / profile[-1][0] * (width - 20)) + 10)
        line = height - 10 - int(max(theta, 0) * (height - 20))
        dark |= {(line + up, column + right) for up in (0, 1) for right in (0, 1)}
    lines = (
        b"\0" + bytes(0x30 if (y, x) in dark else 0xF4 for x in range(width)) for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"".join(lines)))
        + chunk(b"IEND", b"")
    )


def chunk(kind, data):
    """Return a chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
