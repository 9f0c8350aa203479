"""Time checks that read a MESA history: by one process and by several, and where verdicts are kept.

    python benchmarks/judging.py

It needs root, the packages that tests/cluster needs, pytest-xdist, and memory or disk for the
histories, twice. They are fetched before; all ways are whole commands.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from statistics import median

from collect import OUTPUTS, SMALL, finished
from figures import Target, measure, print_ratios, print_targets, ratio
from loopback import Loopback, use_memory
from tables import write_history

SWEEP = """\
from pytest_remex import sweep
from pytest_remex.extensions.mesa import patch_inlist


@sweep({{"initial_mass": [1 + n / 1000 for n in range({count})]}}, fetch=["LOGS/history.data"])
def star(experiment):
    patch_inlist(experiment.path / "inlist_project", experiment.config)
    run = yield
    history = run.read("LOGS/history.data")
    run.record(age=history.star_age.iloc[-1])
    assert len(history) > 1
"""
ONE = "one process judges all"
SEVERAL = "{} processes judge all"
KEPT = "no check runs: all verdicts are kept"


def main() -> int:
    """Measure and print; the exit code says whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=300, help="experiments (default 300)")
    parser.add_argument("--megabytes", type=int, default=5, help="of a history (default 5)")
    parser.add_argument("--processes", type=int, default=2, help="of -n (default 2)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default 3)")
    options = parser.parse_args()
    use_memory()
    several = SEVERAL.format(options.processes)
    print(f"\n{options.n} checks that read {options.megabytes} MB each: seconds")
    with finished(options.n, SMALL) as site:
        _write(site, options.n, options.megabytes)
        site.pytest("--remex-collect", "--remex-yes")
        together = ("--remex-fresh", "-p", "xdist", "-n", str(options.processes))
        figures = measure(
            {
                ONE: lambda: _collect(site, "--remex-fresh"),
                several: lambda: _collect(site, *together),
                KEPT: lambda: _collect(site),
            },
            options.runs,
        )
    print_ratios(figures, {ONE: "one"})
    print()
    name = f"{options.processes} processes / one, for {options.n} checks of {options.megabytes} MB"
    kept = f"seconds of {options.n} kept verdicts on {options.megabytes} MB"
    return print_targets(
        [
            Target(name, ratio(figures, several, ONE), 0.62),
            Target(kept, median(figures[KEPT]), 4.0),
        ]
    )


def _write(site: Loopback, count: int, megabytes: int) -> None:
    """Write the sweep, and the same history into each run directory."""
    (site.project.repository / "sweeps.py").write_text(SWEEP.format(count=count))
    made = site.home / OUTPUTS[0].rpartition("/")[2]
    write_history(made, megabytes)
    for run in site.project.run_directories():
        shutil.copyfile(made, run / OUTPUTS[0])


def _collect(site: Loopback, *words: str) -> float:
    return site.pytest("--remex-collect", *words).seconds


if __name__ == "__main__":
    sys.exit(main())
