"""The benchmarks' figures: ratios to floors, targets, and two files compared."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def figures(monkeypatch):
    """Return the module of the benchmarks' figures."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return pytest.importorskip("figures")


def test_table_has_ratios_and_targets(figures):
    """A table shows each median over the floor's, and which targets are missed."""
    found = figures.Figures("reads", "s", {"floor": "floor"})
    for name, values in {"floor": (1, 2, 9), "ours": (3, 2, 4)}.items():
        for value in values:
            found.add(name, value)
    found.target("ours / floor", found.ratio("ours", "floor"), 1.4)
    found.target("seconds", found.median("ours"), 3)
    title, _, floor, ours, missed, met = found.table(with_targets=True)
    assert title == "reads (s)"
    assert floor.split() == ["1.00", "2.000", "1.000", "to", "9.000", "floor"]
    assert ours.split() == ["1.50", "3.000", "2.000", "to", "4.000", "ours"]
    assert missed.startswith("MISSED")
    assert met.startswith("met")


def test_two_files_are_compared(figures, tmp_path):
    """`--compare` prints the ratio of medians of each way that both files have."""
    for file, factor in (("before", 1.0), ("after", 0.5)):
        found = figures.Figures("reads", "s", {})
        for name in ("same", file):
            found.add(name, 4 * factor)
        (tmp_path / file).write_text(json.dumps({"figures": {found.title: found.as_json()}}))
    words = [sys.executable, str(BENCHMARKS / "run.py"), "--compare", "before", "after"]
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[2:] == ["       4.000       2.000    0.50  same"]
