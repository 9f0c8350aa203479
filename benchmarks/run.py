"""Measure this package: one table of all benchmarks, ratios to the floors, and a file of figures.

    python benchmarks/run.py                      all, which takes hours
    python benchmarks/run.py --quick              all, small: some minutes, and no target is checked
    python benchmarks/run.py collect judging --json here.json
    python benchmarks/run.py --compare before.json after.json

Those that need a cluster (launch, modes, collect, judging, scale) need root and the packages that
tests/cluster needs; `tables` needs mesa-reader, `report` chromium for what a browser shows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

from figures import Figures, comparison
from loopback import use_memory

BENCHMARKS = (
    *("inlist", "fingerprints", "tables", "report"),
    *("modes", "launch", "collect", "judging", "scale"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure or compare; the exit code is 1 if a target was missed or a benchmark failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--runs", type=int, help="rounds (default 3; 1 with --quick)")
    parser.add_argument("--quick", action="store_true", help="few and small: to see that all works")
    parser.add_argument("--json", type=Path, help="file for the figures (default: none)")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"))
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - {*BENCHMARKS}:
        parser.error(f"no benchmark is called {' or '.join(sorted(unknown))}")
    if options.compare:
        print(*comparison(*(json.loads(path.read_text()) for path in options.compare)), sep="\n")
        return 0
    use_memory()
    names = options.names or BENCHMARKS
    found, failed = _measure(names, options.runs, quick=options.quick)
    for each in found:
        print("", *each.table(with_targets=not options.quick), sep="\n")
    for name, error in failed.items():
        print(f"\nFAILED {name}: {error}")
    if options.json:
        figures = {each.title: each.as_json() for each in found}
        kept = {"commit": _commit(), "quick": options.quick, "figures": figures}
        options.json.write_text(json.dumps(kept, indent=1) + "\n")
    missed = not options.quick and not all(target.met for each in found for target in each.targets)
    return int(missed or bool(failed))


def _measure(
    names: Sequence[str], runs: int | None, *, quick: bool
) -> tuple[list[Figures], dict[str, str]]:
    """Return the figures of the benchmarks, and why others could not be measured."""
    found: list[Figures] = []
    failed: dict[str, str] = {}
    for name in names:
        print(f"{name} ...", flush=True)
        try:
            # each in a process of its own: a program starts with the memory of the one before it
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                found += pool.submit(_measure_one, name, runs, quick=quick).result()
        except (ImportError, OSError, RuntimeError, AssertionError) as error:
            failed[name] = str(error) or type(error).__name__
    return found, failed


def _measure_one(name: str, runs: int | None, *, quick: bool) -> list[Figures]:
    module = import_module(name)
    size = module.QUICK if quick else {}
    figures: list[Figures] = module.measure(runs or (1 if quick else 3), **size)
    return figures


def _commit() -> str:
    """Return the commit that is measured, as git describes it."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.check_output(words, cwd=Path(__file__).parent, text=True).strip()


if __name__ == "__main__":
    sys.exit(main())
