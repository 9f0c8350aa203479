"""Twice as many experiments cost each mode twice as many operations.

Counted are the lines that this process executes, and not seconds: these depend on the machine. What
a mode does once is left out by differences.
"""

import shutil
import sys
import threading

SWEEP = """
from pytest_remex import sweep

@sweep({{"a": list(range({count}))}}, fetch=["input.txt"])
def grid(experiment):
    (experiment.path / "input.txt").write_text(f"a = {{experiment.config['a']}}\\n")
    run = yield
    run.record(size=len(run.read("input.txt")))
"""
COMPARES_ALL = """
def pytest_collection_modifyitems(items):
    for _ in range(300):
        for each in items:
            for other in items:
                each is other
"""
COUNTS = (5, 10, 20)
MOST = 2.3
"""How many times the operations twice as many experiments may cost."""
MODES = {
    "plan": ["--remex-plan"],
    "submit": ["--remex-submit", "--remex-yes"],
    "submit again": ["--remex-submit"],
    "status": ["--remex-status"],
    "collect": ["--remex-collect"],
    "collect again": ["--remex-collect"],
    "log": ["--remex-log"],
    "clean": ["--remex-clean", "--remex-yes"],
}
"""The options of each mode, in the order in which a user has them."""


def lines(work):
    """Return how many lines some work executes, in all threads; each turn of a loop is one.

    What it returns comes second.
    """
    counted = 0

    def trace(_frame, event, _argument):
        nonlocal counted
        counted += event == "line"
        return trace

    before = sys.gettrace()
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        result = work()
    finally:
        sys.settrace(before)
        threading.settrace(before)
    return counted, result


def grows(project, modes):
    """Return how many times the work of each mode grows as the experiments double."""
    found = {name: [] for name in modes}
    for count in (1, *COUNTS):  # the first imports all there is to import
        shutil.rmtree(project.output, ignore_errors=True)
        project.sweeps(SWEEP.format(count=count))
        for name in modes:
            if name == "status":
                project.wait()
            counted, result = lines(lambda given=MODES[name]: project.pytest(*given))
            assert result.ret == 0, f"{name} of {count}: {result.outlines}"
            found[name].append(counted)
    return {name: (many - some) / (some - few) for name, (_, few, some, many) in found.items()}


def test_growth_of_the_modes(empty_project):
    """No mode does more than 2.3 times the work for twice as many experiments."""
    found = grows(empty_project, MODES)
    assert {name: times for name, times in found.items() if times > MOST} == {}


def test_growth_beyond_is_seen(empty_project):
    """A hook that compares each experiment with all makes a plan grow by more than that."""
    empty_project.write("conftest.py", COMPARES_ALL)
    assert grows(empty_project, ["plan"])["plan"] > MOST
