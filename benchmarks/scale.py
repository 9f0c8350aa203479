"""Measure launches of 10,000 experiments, and of a repository of 20,000 files and 500 MB.

    python benchmarks/scale.py

It needs root, the packages that tests/cluster needs, and 5 GB in the folder for temporary files.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from statistics import median

from figures import Target, measure, print_ratios, print_targets
from loopback import Loopback, loopback, use_memory
from measured import AgentMemory
from star import more_files, share, write_sweep

BASIS = 1000
"""Experiments of the launch whose cost per experiment the large launch is compared with."""
SETTINGS = {"MaxArraySize": "1001", "MaxJobCount": "60000"}
FILES, FILE_BYTES, FILES_A_FOLDER = 20_000, 25_000, 100
DATA = "data"
FEW, MORE = 1, 51
"""Experiments of two plans in the large repository: their difference is the cost of 50."""
SHARING = 20
"""Experiments that share the large repository's data."""


def main() -> int:
    """Measure and print; the exit code says whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10_000, help="experiments (default 10000)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--files", type=int, default=FILES, help=f"(default {FILES})")
    options = parser.parse_args()
    use_memory()
    targets = [*_many(options.n, options.runs), *_large(options.files, options.runs)]
    print()
    return print_targets(targets)


def _many(count: int, runs: int) -> list[Target]:
    print(f"\nms for each experiment, of {BASIS} and of {count}")
    peaks: dict[str, list[float]] = {}
    ways = {
        f"{mode} {each}": lambda mode=mode, each=each: _each_ms(mode, each, peaks)
        for mode in ("--remex-plan", "--remex-submit --remex-array")
        for each in (BASIS, count)
    }
    figures = measure(ways, runs)
    print_ratios(figures, {f"--remex-submit --remex-array {BASIS}": f"array {BASIS}"}, unit="ms")
    for name, peak in peaks.items():
        print(f"{max(peak):8.0f} MB at most  {name}")
    submit = "--remex-submit --remex-array"
    grown = median(figures[f"{submit} {count}"]) / median(figures[f"{submit} {BASIS}"])
    client = max(max(peak) for name, peak in peaks.items() if name.startswith("client"))
    return [
        Target(f"cost for each of {count} in arrays / each of {BASIS}", grown, 1.3),
        Target(f"MB of the client at {count}", client, 300),
        Target(f"MB of the agent at {count}", max(peaks[f"agent, {submit} {count}"]), 100),
    ]


def _each_ms(mode: str, count: int, peaks: dict[str, list[float]]) -> float:
    with loopback(more_files(), settings=SETTINGS) as site, AgentMemory(site.sshd.home) as agent:
        write_sweep(site.project.repository, count)
        site.watch_git()
        yes = ["--remex-yes"] if "submit" in mode else []
        ran = site.pytest(*mode.split(), *yes)
        if yes and site.queued() != count:
            raise RuntimeError(f"{site.queued()} of {count} jobs are queued:\n{ran.output}")
        print(f"  {site.traffic()}")
    peaks.setdefault(f"client, {mode} {count}", []).append(ran.megabytes)
    peaks.setdefault(f"agent, {mode} {count}", []).append(agent.megabytes)
    return ran.seconds / count * 1000


def _large(files: int, runs: int) -> list[Target]:
    print(f"\na repository of {files} files of {FILE_BYTES} bytes, and a patch of one line")
    with loopback(more_files()) as site:
        _fill(site.project.repository / DATA, files)
        site.project.commit({})
        figures = measure(
            {f"plan of {each}": lambda each=each: _plan(site, each) for each in (FEW, MORE)}, runs
        )
        print_ratios(figures, {f"plan of {FEW}": f"plan of {FEW}"})
        added = median(figures[f"plan of {MORE}"]) - median(figures[f"plan of {FEW}"])
        return [
            Target("ms to patch and commit one", added / (MORE - FEW) * 1000, 100),
            Target(f"disk of {SHARING} runs with shared data / one checkout", _disk(site), 1.5),
        ]


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
    """Submit runs that share the data; give their disk over that of one checkout."""
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


if __name__ == "__main__":
    sys.exit(main())
