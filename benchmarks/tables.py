"""Read histories with this package, mesa_reader and pandas: whole processes, time and peak memory.

    pip install mesa-reader
    python benchmarks/tables.py

The files are generated as MESA writes them: 60 columns of 41 characters, of 7, 60 and 200 MB. Each
round runs all ways, one behind the other, in a process of its own, imports included; the package is
compiled before, as pip does when it installs one. On a machine that does other things too, the
processors' seconds say more than the clock's.
"""

from __future__ import annotations

import argparse
import compileall
import os
import random
import sys
import tempfile
from pathlib import Path
from statistics import median

from figures import Target, print_ratios, print_targets, ratio
from measured import Ran, run

import pytest_remex

SIZES = (7, 60, 200)
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
"""What each needs before it reads: the difference is the reading."""


def main() -> int:
    """Measure and print; the exit code says whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="MB")
    parser.add_argument("--runs", type=int, default=9, help="rounds (default 9)")
    options = parser.parse_args()
    compileall.compile_dir(Path(pytest_remex.__file__).parent, quiet=1)
    targets: list[Target] = []
    with tempfile.TemporaryDirectory() as name:
        for size in options.sizes:
            path = Path(name) / "history.data"
            write_history(path, size)
            targets += compare(path, size, options.runs)
    print()
    return print_targets(targets)


def compare(path: Path, size: int, runs: int) -> list[Target]:
    """Run all ways on one file, and print ratios, medians and the range."""
    ran: dict[str, list[Ran]] = {name: [] for name in WAYS}
    for _ in range(runs):
        for name, code in WAYS.items():
            ran[name].append(process(code.format(path=str(path))))
    seconds = {name: [one.seconds for one in each] for name, each in ran.items()}
    busy = {name: [one.busy for one in each] for name, each in ran.items()}
    memory = {name: [one.megabytes for one in each] for name, each in ran.items()}
    floors = {THEIRS: "mesa_reader", PANDAS: "pandas"}
    print(f"\n{size} MB: seconds of the whole process")
    print_ratios(seconds, floors)
    print(f"{size} MB: seconds of the processors")
    print_ratios(busy, floors)
    print(f"{size} MB: peak memory of the whole process")
    print_ratios(memory, floors, unit="MB")
    idle = {name: process(code).megabytes for name, code in IMPORTS.items()}
    grown = {name: median(memory[name]) - idle[name] for name in IMPORTS}
    print(f"without the imports: {grown[OURS]:.0f} MB here, {grown[THEIRS]:.0f} MB mesa_reader")
    pairs = [one / other for one, other in zip(seconds[OURS], seconds[THEIRS], strict=True)]
    return [
        Target(f"time at {size} MB / mesa_reader's, median of pairs", median(pairs), 1),
        Target(f"processors' time at {size} MB / mesa_reader's", ratio(busy, OURS, THEIRS), 1),
        Target(f"memory at {size} MB / mesa_reader's", ratio(memory, OURS, THEIRS), 1),
    ]


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


if __name__ == "__main__":
    sys.exit(main())
