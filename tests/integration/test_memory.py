"""What a command keeps in memory for each experiment of a grid."""

import re

import pytest

MEASURE = """
import gc
import tracemalloc

import pytest

tracemalloc.start()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    gc.collect()
    print(f"kept {tracemalloc.get_traced_memory()[0]} bytes")
"""
SWEEP = """
from pytest_remex import sweep

@sweep({{"a": [*range({count})]}})
def grid(experiment):
    text = f"a = {{experiment.config['a']}}\\n" + 10_000 * "x"
    (experiment.path / "input.txt").write_text(text)
    yield
"""
FEW, MORE = 20, 120
MOST = 8000
"""Bytes for each experiment; pytest's own item is 2,500 of them."""


@pytest.fixture
def kept(project):
    """Return a function that measures what a command keeps with so many experiments."""
    project.write("conftest.py", MEASURE)

    def run(count, *arguments):
        project.sweeps(SWEEP.format(count=count))
        printed = project.pytest_alone(*arguments, "-s").stdout.str()
        return int(re.search(r"kept (\d+) bytes", printed)[1])

    return run


def test_a_plan_keeps_little(kept):
    """A plan keeps less than 8 kB of an experiment, whose patched file has 10 kB."""
    few, more = (kept(count, "--remex-plan") for count in (FEW, MORE))
    assert (more - few) / (MORE - FEW) < MOST
