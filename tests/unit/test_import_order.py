"""Public functions stay functions, whichever module of the package was imported before."""

import json
import pkgutil
import random
import subprocess
import sys

import pytest

import pytest_remex

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(pytest_remex.__path__, "pytest_remex.")
)
ORDERS = {
    "sorted": MODULES,
    "reversed": MODULES[::-1],
    **{
        f"shuffled {seed}": random.Random(seed).sample(MODULES, len(MODULES))  # noqa: S311 - no secret
        for seed in range(3)
    },
}
PROGRAM = """
import importlib, json, sys
for name in json.load(sys.stdin):
    if not name.endswith("__main__"):
        importlib.import_module(name)
from types import FunctionType
import pytest_remex
from pytest_remex import scripting
for module in (pytest_remex, scripting):
    for name in module.__all__:
        assert isinstance(getattr(module, name), (FunctionType, type)), (module, name)
assert isinstance(pytest_remex.results, FunctionType)
from pytest_remex.scripting import collect
assert isinstance(collect, FunctionType)
"""
PROMISED = {"Experiment", "Job", "JobState", "RemexError", "Remote", "Repo", "Run"} | {
    "curves", "optional", "results", "runs", "sweep",
}  # fmt: skip
"""Names that `pytest_remex` exports, or will."""


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_public_functions_are_not_hidden(order):
    """After all modules were imported, in any order, each public name is its function or class."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(order), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_no_module_has_a_public_name():
    """No module has the name of something public, except `sweep`, which is imported first."""
    taken = {name.rpartition(".")[2] for name in MODULES if name.count(".") == 1}
    assert taken & PROMISED == {"sweep"}
