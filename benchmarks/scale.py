"""Measure launches of 10,000 experiments, and of a repository of 20,000 files and 500 MB.

It needs 5 GB in the folder for temporary files.
"""

from __future__ import annotations

import os
from pathlib import Path

from figures import Figures
from loopback import Loopback, loopback
from measured import AgentMemory
from star import more_files, share, write_sweep

BASIS = 1000
"""Experiments of the launch whose cost per experiment the large launch is compared with."""
SETTINGS = {"MaxArraySize": "1001", "MaxJobCount": "60000"}
SUBMIT = "--remex-submit --remex-array"
QUICK = {"count": 100, "files": 200}
FILE_BYTES, FILES_A_FOLDER = 25_000, 100
DATA = "data"
FEW, MORE = 1, 51
"""Experiments of two plans in the large repository: their difference is the cost of 50."""
SHARING = 20
"""Experiments that share the large repository's data."""


def measure(runs: int, count: int = 10_000, files: int = 20_000) -> list[Figures]:
    """Measure launches of many experiments, and of a repository of many files."""
    return [*_many(count, runs), *_large(files, runs)]


def _many(count: int, runs: int) -> list[Figures]:
    basis = min(BASIS, count // 2)
    submit, small = f"{SUBMIT} {count}", f"{SUBMIT} {basis}"
    figures = Figures(f"launches of {basis} and {count}, each experiment", "ms", {small: "small"})
    peaks = Figures(f"launches of {basis} and {count}, peak memory", "MB")
    figures.measure(
        {
            f"{mode} {each}": lambda mode=mode, each=each: _each_ms(mode, each, peaks)
            for mode in ("--remex-plan", SUBMIT)
            for each in (basis, count)
        },
        runs,
    )
    grown = figures.ratio(submit, small)
    figures.target(f"cost for each of {count} in arrays / each of {basis}", grown, 1.3)
    peaks.target(f"MB of the client at {count}", peaks.median(f"client, {submit}"), 300)
    peaks.target(f"MB of the agent at {count}", peaks.median(f"agent, {submit}"), 100)
    return [figures, peaks]


def _each_ms(mode: str, count: int, peaks: Figures) -> float:
    with loopback(more_files(), settings=SETTINGS) as site, AgentMemory(site.sshd.home) as agent:
        write_sweep(site.project.repository, count)
        site.watch_git()
        yes = ["--remex-yes"] if "submit" in mode else []
        ran = site.pytest(*mode.split(), *yes)
        if yes and site.queued() != count:
            raise RuntimeError(f"{site.queued()} of {count} jobs are queued:\n{ran.output}")
        print(f"  {site.traffic()}")
    peaks.add(f"client, {mode} {count}", ran.megabytes)
    peaks.add(f"agent, {mode} {count}", agent.megabytes)
    return ran.seconds / count * 1000


def _large(files: int, runs: int) -> list[Figures]:
    few, more = f"plan of {FEW}", f"plan of {MORE}"
    figures = Figures(f"a repository of {files} files of {FILE_BYTES} bytes", "s", {few: few})
    disk = Figures(f"disk of {SHARING} runs that share the data of {files} files", "checkouts")
    with loopback(more_files()) as site:
        _fill(site.project.repository / DATA, files)
        site.project.commit({})
        ways = {f"plan of {each}": lambda each=each: _plan(site, each) for each in (FEW, MORE)}
        figures.measure(ways, runs)
        disk.add("runs", _disk(site))
    added = (figures.median(more) - figures.median(few)) / (MORE - FEW) * 1000
    figures.target("ms to patch and commit one", added, 100)
    disk.target("disk of the runs / one checkout", disk.median("runs"), 1.5)
    return [figures, disk]


def _fill(folder: Path, files: int) -> None:
    for start in range(0, files, FILES_A_FOLDER):
        inner = folder / f"part_{start // FILES_A_FOLDER}"
        inner.mkdir(parents=True)
        for number in range(start, min(start + FILES_A_FOLDER, files)):
            (inner / f"table_{number}").write_bytes(os.urandom(FILE_BYTES))


def _plan(site: Loopback, count: int) -> float:
    write_sweep(site.project.repository, count)
    return site.pytest("--remex-plan").seconds


def _disk(site: Loopback) -> float:
    """Submit runs that share the data; return their disk over that of one checkout."""
    share(site, (DATA,))
    write_sweep(site.project.repository, SHARING)
    ran = site.pytest("--remex-submit", "--remex-array")
    runs, checkout = _bytes(site.project.runs), _bytes(site.project.repository / DATA)
    print(f"  {SHARING} runs submitted in {ran.seconds:.1f} s, {runs / 1e6:.0f} MB on disk")
    return runs / checkout


def _bytes(folder: Path) -> int:
    """Add up the blocks of all files below a folder."""
    paths = (Path(above) / name for above, _, names in os.walk(folder) for name in names)
    return sum(path.lstat().st_blocks for path in paths) * 512
