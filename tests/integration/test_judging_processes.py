"""With -n of pytest-xdist several processes judge, and all comes out as from one."""

import csv
import json
import re
import signal
from pathlib import Path

import pytest
from support.daemons import wait_until

pytest.importorskip("xdist")

COLLECT = ("-p", "xdist", "--remex-collect")
SWEEP = """
import os, sys, time
from pytest_remex import sweep

@sweep({"a": [1, 2, 3, 4, 5, 6]}, fetch=["result.txt"])
def grid(experiment):
    a = experiment.config["a"]
    (experiment.path / "input.txt").write_text(f"a = {a}\\n" + ("fail" if a == 5 else ""))
    run = yield
    os.makedirs(f"judged/{a} {os.getpid()} {time.time_ns()}")  # opens no file
    print("judging", a)
    run.record(double=2 * a, nothing=float("nan"), text="\\u00e9\\udcff")
    run.curve("c", [1, 2], [a, 3])
    assert a not in (3, 4), f"{a} is wrong"
"""


@pytest.fixture
def ran(empty_project):
    """Return a project whose six jobs have ended, one of them failed."""
    empty_project.sweeps(SWEEP)
    (empty_project.path / "judged").mkdir()
    for name in ("junit.xml", "facts.json"):  # the folder, which Python lists, stays as it is
        empty_project.write(name, "")
    empty_project.ran()
    return empty_project


def judged(project):
    """Return which points were judged since this was asked last, and by how many processes."""
    marks = list((project.path / "judged").glob("*"))
    found = [mark.name.split() for mark in marks]
    for mark in marks:
        mark.rmdir()
    return sorted(int(a) for a, _, _ in found), len({process for _, process, _ in found})


def written(project):
    """Return what a collect wrote: tables, page and junit file, without times."""
    folder = project.output / "grid"
    texts = {name: (folder / name).read_bytes() for name in ("results.csv", "results.json")}
    junit = (project.path / "junit.xml").read_text()
    texts["junit"] = re.sub(r' (time|timestamp|hostname)="[^"]*"', "", junit)
    texts["facts"] = (project.path / "facts.json").read_text()
    return texts


def collect(project, *arguments):
    """Collect in a process of its own."""
    given = ("--junitxml=junit.xml", "--remex-json=facts.json", "-v", *arguments)
    return project.pytest_alone(*COLLECT, *given)


def outcomes(result):
    """Return pytest's lines on items."""
    return [line for line in result.outlines if re.match(r"sweeps\.py::\S+ [A-Z]", line)]


def test_all_is_as_in_one_process(ran):
    """Outcomes in their order, results, junit file, facts, exit code are those of one process."""
    alone = collect(ran, "--remex-fresh")
    before = written(ran)
    assert judged(ran) == ([1, 2, 3, 4, 6], 1)
    together = collect(ran, "--remex-fresh", "-n", "2")
    assert outcomes(together) == outcomes(alone)
    assert len(outcomes(together)) == 6
    assert written(ran) == before
    assert together.ret == alone.ret == 1
    points, processes = judged(ran)
    assert points == [1, 2, 3, 4, 6]
    assert processes > 1
    together.stdout.fnmatch_lines(["*Captured stdout call*", "judging 3", "2 failed: *a not in*"])


def test_verdicts_are_kept(ran):
    """Verdicts of several processes are kept for one, and the other way round."""
    collect(ran, "-n", "2")
    assert judged(ran)[0] == [1, 2, 3, 4, 6]
    before = written(ran)
    for arguments in ((), ("-n", "auto")):
        collect(ran, *arguments).stdout.fnmatch_lines(["3 verdicts kept*"])
        assert judged(ran)[0] == [3, 4]
        assert written(ran) == before


LOADED = """
import sys
def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        print("tables:", "pandas" in sys.modules)
"""


def test_tables_are_loaded_if_they_are_written(ran):
    """The first process loads what writes tables only if a verdict differs from the last one."""
    ran.write("conftest.py", LOADED)
    collect(ran, "-n", "2", "-s").stdout.fnmatch_lines(["tables: True"])
    collect(ran, "-n", "2", "-s", "--remex-fresh").stdout.fnmatch_lines(["tables: False"])
    ran.edit("sweeps.py", "a not in (3, 4)", "a not in (3, 4, 6)")
    collect(ran, "-n", "2", "-s").stdout.fnmatch_lines(["tables: True"])


def test_first_failure(ran):
    """With -x, what others judged past the first failure is in no table."""
    for arguments in ((), ("-n", "2")):
        result = collect(ran, "-x", "--remex-fresh", *arguments)
        result.assert_outcomes(passed=2, failed=1)
        with (ran.output / "grid" / "results.csv").open(newline="") as file:
            assert [row["a"] for row in csv.DictReader(file)] == ["1", "2", "3"]
        assert not (ran.output / "grid" / "recorded.jsonl").exists()
        assert [each["outcome"] for each in json.loads((ran.path / "facts.json").read_text())] == [
            *("passed", "passed", "failed", "", "", "")
        ]


def test_a_process_that_dies(ran):
    """A check that ends its process fails, with what it had recorded; others are judged."""
    ran.edit(
        "sweeps.py",
        "    assert a not in",
        "    if a == 4: os.kill(os.getpid(), 9)\n    assert a not in",
    )
    result = collect(ran, "-n", "2")
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(["*the process that judged this ended without a verdict*"])
    with (ran.output / "grid" / "results.csv").open(newline="") as file:
        rows = {row["a"]: (row["double"], row["verdict"]) for row in csv.DictReader(file)}
    assert rows["4"] == ("8", "FAILED")
    assert rows["6"] == ("12", "PASSED")
    assert judged(ran)[0] == [1, 2, 3, 4, 6]


def test_the_first_experiment_ends_its_process(ran):
    """A check that ends its process ends no collect, also if it is the first one."""
    ran.edit("sweeps.py", "    assert a not in", "    if a == 1: os._exit(3)\n    assert a not in")
    result = collect(ran, "-n", "2")
    result.assert_outcomes(passed=2, failed=4)
    result.stdout.fnmatch_lines(["*the process that judged this ended without a verdict*"])
    with (ran.output / "grid" / "results.csv").open(newline="") as file:
        rows = {row["a"]: (row["double"], row["verdict"]) for row in csv.DictReader(file)}
    assert rows["1"] == ("2", "FAILED")
    assert rows["2"] == ("4", "PASSED")
    assert (ran.output / "grid" / "report.html").exists()


def test_interrupt(ran):
    """Ctrl-C ends all processes soon, and what was judged is in the results."""
    ran.edit(
        "sweeps.py", "    assert a not in", "    if a > 2: time.sleep(60)\n    assert a not in"
    )
    process = ran.start(*COLLECT, "-n", "2")
    wait_until(lambda: len(list((ran.path / "judged").glob("*"))) >= 4, seconds=60)
    pids = {mark.name.split()[1] for mark in (ran.path / "judged").iterdir()}
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    with (ran.output / "grid" / "results.csv").open(newline="") as file:
        rows = {row["a"]: row["verdict"] for row in csv.DictReader(file)}
    assert (rows["1"], rows["2"]) == ("PASSED", "PASSED")


def test_experiments_that_differ(ran):
    """If other processes find other points, this process judges all, and says why."""
    ran.edit(
        "sweeps.py",
        "[1, 2, 3, 4, 5, 6]",
        "[1, 2, 3, 4, 5, 6, *[7] * (sys.argv[0] == '-c')]",
    )
    result = collect(ran, "-n", "2")
    result.assert_outcomes(passed=3, failed=3)
    result.stdout.fnmatch_lines(["another process found other experiments*"])
    assert judged(ran) == ([1, 2, 3, 4, 6], 1)
