"""Read histories with this package, mesa_reader and pandas: whole processes, time and peak memory.

The files are generated as MESA writes them: 60 columns of 41 characters, of 7, 60 and 200 MB. Each
round runs all ways, one behind the other, in a process of its own, imports included; the package is
compiled before, as pip does when it installs one. On a machine that does other things too, the
processors' seconds say more than the clock's.
"""

from __future__ import annotations

import compileall
import os
import random
import sys
import tempfile
from pathlib import Path

from figures import Figures
from measured import Ran, run

import pytest_remex

SIZES = (7, 60, 200)
QUICK = {"sizes": (7,)}
COLUMNS = 60
OURS = "read_history"
SOME = "read_history, 3 of the columns"
THEIRS = "mesa_reader.MesaData"
PANDAS = "pandas.read_csv"
WAYS = {
    OURS: "from pytest_remex.extensions.mesa import read_history; read_history({path!r})",
    SOME: (
        "from pytest_remex.extensions.mesa import read_history; "
        "read_history({path!r}, columns=['model_number', 'star_age', 'column_7'])"
    ),
    THEIRS: "import mesa_reader; mesa_reader.MesaData({path!r})",
    PANDAS: "import pandas; pandas.read_csv({path!r}, sep=r'\\s+', skiprows=5)",
}
IMPORTS = {OURS: "import pandas, pytest_remex", THEIRS: "import mesa_reader"}
"""What each needs before it reads."""


def measure(runs: int, sizes: tuple[int, ...] = SIZES) -> list[Figures]:
    """Run all ways on a file of each size."""
    compileall.compile_dir(Path(pytest_remex.__file__).parent, quiet=1)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "history.data"
        return [each for size in sizes for each in _compare(path, size, runs)]


def _compare(path: Path, size: int, runs: int) -> list[Figures]:
    """Run all ways on one file: wall time, processor time and peak memory of whole processes."""
    write_history(path, size)
    floors = {THEIRS: "mesa_reader", PANDAS: "pandas"}
    wall = Figures(f"a history of {size} MB", "s", floors)
    busy = Figures(f"a history of {size} MB, processor time", "s", floors)
    memory = Figures(f"a history of {size} MB, peak memory", "MB", floors)
    for _ in range(runs):
        for name, code in WAYS.items():
            ran = process(code.format(path=str(path)))
            wall.add(name, ran.seconds)
            busy.add(name, ran.busy)
            memory.add(name, ran.megabytes)
    for each in (wall, busy, memory):
        each.target("ours / mesa_reader's", each.ratio(OURS, THEIRS), 1)
    for name, code in IMPORTS.items():
        memory.add(f"{name}, only its imports", process(code).megabytes)
    return [wall, busy, memory]


def process(code: str) -> Ran:
    """Run a line of Python in a process of its own."""
    return run([sys.executable, "-c", code], folder=Path.cwd(), environment=os.environ)


def write_history(path: Path, megabytes: int) -> None:
    """Write a history as MESA does: each number in 41 characters."""
    numbers = random.Random(1)  # noqa: S311 - the same file each time, no secret
    names = ["model_number", "star_age", *(f"column_{n}" for n in range(2, COLUMNS))]
    header = [["version_number", "initial_mass"], ["'r24.08.1'", "1.5E+001"]]
    with path.open("w") as file:
        for row in [[1, 2], *header, [], range(1, COLUMNS + 1), names]:
            file.write("".join(f"{word:>41}" for word in row) + "\n")
        number = 0
        while file.tell() < megabytes * 1_000_000:
            number += 1
            values = (numbers.gauss(0, 1) * 10 ** numbers.randint(-30, 30) for _ in names[1:])
            file.write(f"{number:>41}" + "".join(f"{one:41.16E}" for one in values) + "\n")
