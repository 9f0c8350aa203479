"""Time `pytest --remex-collect`, the whole command, against one rsync of the same files.

    python benchmarks/collect.py

It needs root, the packages that tests/cluster needs, and memory or disk for the files, three times.
The outputs and exit codes are written into the run directories by hand, and the controller forgets
the jobs, as one does that keeps no accounts: ten thousand real jobs would take an hour.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from figures import Target, measure, print_ratios, print_targets, ratio
from loopback import Loopback, loopback, use_memory
from star import more_files, write_sweep

OUTPUTS = ("LOGS/history.data", "LOGS/final.data", "slurm.out")
"""The first two are asked for by the sweep, the last is the job's log."""
COLLECT = "pytest --remex-collect"
RSYNC = "floor: one rsync -a of the same files"
AGAIN = "pytest --remex-collect, nothing changed"
SMALL = (2, 2, 2)
"""Kilobytes of the outputs where the transfer is not what is timed."""

CONFTEST = """\
import time
from pathlib import Path


def pytest_remex_collected(results, folder):
    Path("collected_at").write_text(str(time.time()))
"""

RESULTS = """\
import time
import pandas
from pytest_remex import results

begun = time.perf_counter()
frame = results("star")
print(len(frame), time.perf_counter() - begun)
"""


def main() -> int:
    """Measure and print; the exit code says whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000, help="runs to fetch (default 1000)")
    parser.add_argument("--many", type=int, default=10_000, help="runs to look at (default 10000)")
    parser.add_argument("--kilobytes", type=int, nargs=3, default=(200, 2, 2), metavar="KB",
                        help="sizes of the three outputs (default 200 2 2)")  # fmt: skip
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    options = parser.parse_args()
    use_memory()
    targets = [
        *_fetch(options.n, tuple(options.kilobytes), options.runs),
        *_look(options.many, options.runs),
    ]
    print()
    return print_targets(targets)


def _fetch(count: int, kilobytes: tuple[int, ...], runs: int) -> list[Target]:
    print(f"\n{count} finished runs of three files of {kilobytes} kB: seconds")
    with finished(count, kilobytes) as site:
        names = [f"{run.name}/{name}" for run in site.project.run_directories() for name in OUTPUTS]
        rounds = iter(range(2 * runs))
        figures = measure(
            {
                COLLECT: lambda: _collect(site, f"output_{next(rounds)}"),
                RSYNC: lambda: site.rsync(names, site.home / f"copy_{next(rounds)}").seconds,
            },
            runs,
        )
        figures |= measure({AGAIN: lambda: _collect(site, "output_0")}, runs)
    print_ratios(figures, {RSYNC: "rsync"})
    beyond = median(figures[COLLECT]) - 1.5 * median(figures[RSYNC])
    print(f"collect / rsync: {ratio(figures, COLLECT, RSYNC):.2f}")
    return [
        Target(f"seconds beyond 1.5 times rsync, for {count} runs", beyond, 5.0),
        Target(f"seconds where nothing changed at {count}", median(figures[AGAIN]), 3.0),
    ]


def _look(count: int, runs: int) -> list[Target]:
    print(f"\n{count} runs, fetched already: seconds")
    with finished(count, SMALL) as site:
        first = measure({COLLECT: lambda: _collect(site, "remex-output")}, 1)
        figures = measure(
            {
                AGAIN: lambda: _collect(site, "remex-output"),
                "results()": lambda: _results(site, count),
                "the report": lambda: _report_seconds(site),
            },
            runs,
        )
        megabytes = _report(site).stat().st_size / 1e6
    print_ratios(first | figures, {COLLECT: "the first"})
    return [
        Target(f"seconds where nothing changed at {count}", median(figures[AGAIN]), 15.0),
        Target(f"seconds of results() of {count}", median(figures["results()"]), 1.0),
        Target(f"seconds to write the report of {count}", median(figures["the report"]), 10.0),
        Target(f"MB of the report of {count}", megabytes, 20.0),
    ]


@contextmanager
def finished(count: int, kilobytes: tuple[int, ...]) -> Iterator[Loopback]:
    """Return a cluster with so many runs whose jobs have ended."""
    with loopback(more_files()) as site:
        write_sweep(site.project.repository, count, fetch=OUTPUTS[:2])
        site.pytest("--remex-submit", "--remex-array", "--remex-yes")
        for number, run in enumerate(site.project.run_directories()):
            (run / "LOGS").mkdir()
            for name, size in zip(OUTPUTS, kilobytes, strict=True):
                (run / name).write_text(_table(number, size * 1000))
            (run / ".remex" / "exit").write_text("0\n")
        _forget_jobs(site)
        yield site


def _table(seed: int, size: int) -> str:
    """Return lines of numbers, which compress as a simulation's do."""
    lines = (f"{n:8d} {(seed + n) ** 0.5:24.16e} {(seed * n) ** 0.3:24.16e}\n" for n in range(size))
    text = ""
    while len(text) < size:
        text += next(lines)
    return text[:size]


def _forget_jobs(site: Loopback) -> None:
    controller = site.cluster.controller
    controller.stop()
    state = site.cluster.folder / "state"
    shutil.rmtree(state)
    state.mkdir()
    controller.start()


def _collect(site: Loopback, output: str) -> float:
    """Collect into a folder, which has the launch records and nothing else the first time."""
    records, target = (site.project.repository / each for each in ("remex-output", output))
    if not target.exists():
        shutil.copytree(records / "launches", target / "launches")
    return site.pytest("--remex-collect", "-o", f"remex_output={output}").seconds


def _results(site: Loopback, count: int) -> float:
    rows, seconds = site.python(RESULTS).output.split()
    assert int(rows) == count, f"results() has {rows} rows, not {count}"
    return float(seconds)


def _report(site: Loopback) -> Path:
    return site.project.repository / "remex-output" / "star" / "report.html"


def _report_seconds(site: Loopback) -> float:
    """Return the time from the hook that is called with the results to a report on the disk."""
    listener = site.project.repository / "conftest.py"
    listener.write_text(CONFTEST)
    _report(site).unlink()
    _collect(site, "remex-output")
    listener.unlink()
    begun = float((site.project.repository / "collected_at").read_text())
    return _report(site).stat().st_mtime - begun


if __name__ == "__main__":
    sys.exit(main())
