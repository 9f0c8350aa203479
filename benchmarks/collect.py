"""Time `pytest --remex-collect`, the whole command, against one rsync of the same files.

The outputs and exit codes are written into the run directories by hand, and the controller forgets
the jobs, as one does that keeps no accounts: ten thousand real jobs would take an hour.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from figures import Figures
from loopback import Loopback, loopback
from star import more_files, write_sweep

OUTPUTS = ("LOGS/history.data", "LOGS/final.data", "slurm.out")
"""The first two are asked for by the sweep, the last is the job's log."""
COLLECT = "pytest --remex-collect"
RSYNC = "floor: one rsync -a of the same files"
TRUSTING = "floor: the same with --trust-sender, so that it compares no names"
FILTERED = "floor: one rsync -a with filters, which lists all files"
WHOLE = "floor: one rsync -a of the whole run directories"
AGAIN = "pytest --remex-collect, nothing changed"
REPORT = "the report"
SMALL, LARGE = (2, 2, 2), (200, 2, 2)
"""Kilobytes of the outputs, where many runs are fetched and where large ones are."""
QUICK = {"count": 20, "many": 50}

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


def measure(runs: int, count: int = 1000, many: int = 10_000) -> list[Figures]:
    """Time collects of a few runs with large outputs, and of many with small ones."""
    return [_large(count, runs), *_many(many, runs)]


def _large(count: int, runs: int) -> Figures:
    title = f"collects of {count} runs with outputs of {LARGE} kB"
    figures = Figures(title, "s", {RSYNC: "rsync", AGAIN: "empty"})
    with finished(count, LARGE) as site:
        _collect_all(site, figures, runs)
    beyond = figures.median(COLLECT) - 1.5 * figures.median(RSYNC)
    figures.target("seconds beyond 1.5 times rsync", beyond, 5.0)
    figures.target("seconds where nothing changed", figures.median(AGAIN), 3.0)
    return figures


def _many(count: int, runs: int) -> list[Figures]:
    title = f"collects of {count} runs with outputs of {SMALL} kB"
    floors = {
        RSYNC: "rsync",
        TRUSTING: "trusting",
        FILTERED: "filtered",
        WHOLE: "whole",
        AGAIN: "empty",
    }
    figures = Figures(title, "s", floors)
    sizes = Figures(f"the report of {count} runs", "MB")
    with finished(count, SMALL) as site:
        _collect_all(site, figures, runs)
        ways = {"results()": lambda: _results(site, count), REPORT: lambda: _report_seconds(site)}
        figures.measure(ways, runs)
        sizes.add(REPORT, _report(site).stat().st_size / 1e6)
    for name, floor in (("filtered rsync", FILTERED), ("rsync of whole directories", WHOLE)):
        ratio = figures.median(COLLECT) / (figures.median(floor) + figures.median(AGAIN))
        figures.target(f"the first / ({name} + nothing changed)", ratio, 1.3)
    figures.target("seconds where nothing changed", figures.median(AGAIN), 15.0)
    figures.target("seconds of results()", figures.median("results()"), 1.0)
    figures.target("seconds to write the report", figures.median(REPORT), 10.0)
    sizes.target("MB of the report", sizes.median(REPORT), 20.0)
    return [figures, sizes]


def _collect_all(site: Loopback, figures: Figures, runs: int) -> None:
    """Collect all runs for the first time, copy them with rsync, and collect again."""
    names = [f"{run.name}/{name}" for run in site.project.run_directories() for name in OUTPUTS]
    for number in range(runs):
        _put_aside(site, site.home / f"earlier_{number}")
        titles = ("copy", "trusting", "filtered", "whole")
        copy, trusting, filtered, whole = (site.home / f"{n}_{number}" for n in titles)
        ways = {
            COLLECT: lambda: _collect(site),
            RSYNC: lambda copy=copy: site.rsync(names, copy).seconds,
            TRUSTING: lambda to=trusting: site.rsync(names, to, "--trust-sender").seconds,
            FILTERED: lambda to=filtered: site.rsync_filtered(OUTPUTS, to).seconds,
            WHOLE: lambda to=whole: site.rsync_whole(to).seconds,
            AGAIN: lambda: _collect(site),
        }
        figures.measure(ways, 1)


def _put_aside(site: Loopback, folder: Path) -> None:
    """Move what was collected away; the records stay, of which a copy would count as another's."""
    folder.mkdir()
    for each in (site.project.repository / "remex-output").iterdir():
        if not each.name.startswith(".") and each.name != "launches":
            each.rename(folder / each.name)


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


def _collect(site: Loopback) -> float:
    return site.pytest("--remex-collect").seconds


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
    _collect(site)
    listener.unlink()
    begun = float((site.project.repository / "collected_at").read_text())
    return _report(site).stat().st_mtime - begun
