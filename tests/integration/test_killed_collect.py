"""Measures recorded before a collect was killed are in the results, without another one."""

import importlib.util
import os
import signal
import time

import pytest

from pytest_remex import RemexError, results
from pytest_remex.tables.stored import RECORDED

SWEEP = """
import time
from pathlib import Path
from pytest_remex import sweep

HERE = Path(__file__).parent

@sweep({"a": [1, 2, 3]}, fetch=["result.txt"])
def grid(experiment):
    a = experiment.config["a"]
    (experiment.path / "input.txt").write_text(f"a = {a}\\n")
    run = yield
    run.record(first=a, text="so far", exact=0.1 + 0.2)
    run.record({"L1 error": float("nan")})
    if a == 2 and not (HERE / "go").exists():
        (HERE / "reached").touch()
        time.sleep(300)
    run.record(last=10 * a)
    assert a != 1
"""


@pytest.fixture
def killed(empty_project, monkeypatch):
    """Return a project whose collect was killed in the middle of the second of three checks."""
    empty_project.sweeps(SWEEP)
    empty_project.ran()
    monkeypatch.chdir(empty_project.path)
    kill_in_second(empty_project)
    return empty_project


def kill_in_second(project):
    """Start a collect, and kill it after it has recorded the second run's first measures."""
    reached = project.path / "reached"
    reached.unlink(missing_ok=True)
    process = project.start("--remex-collect")
    end = time.monotonic() + 60
    while not reached.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)


def test_nothing_recorded_is_lost(killed):
    """All measures before the kill are there, with the verdicts of the checks that had ended."""
    table = results("grid").set_index("a")
    assert list(table.index) == [1, 2]
    assert list(table["first"]) == [1, 2]
    assert list(table["exact"]) == [0.1 + 0.2] * 2
    assert table["L1 error"].isna().all()
    assert table["last"][1] == 10
    assert table["last"].isna()[2]
    assert table.verdict[1] == "FAILED"
    assert table.verdict[2] == "COMPLETED"
    assert table.reason[2] == "the collect ended before its check was finished"
    assert table.attrs["measures"] == ["first", "text", "exact", "L1 error", "last"]
    assert results("grid", grid=True).index.names == ["a"]
    (launch,) = set(table.launch)
    assert len(results("grid", launch=launch)) == 2
    assert len(results("grid", everything=True)) == 2


@pytest.mark.skipif(not importlib.util.find_spec("_pytest.subtests"), reason="since pytest 9")
def test_killed_after_a_subtest(empty_project, monkeypatch):
    """A subtest that passed is no verdict: the next collect runs the check again, to its end."""
    begun = "    run.record(first=a, "
    subtest = SWEEP.replace("grid(experiment)", "grid(experiment, subtests)").replace(
        begun, f"    with subtests.test():\n        assert a\n{begun}"
    )
    empty_project.sweeps(subtest)
    empty_project.ran()
    monkeypatch.chdir(empty_project.path)
    kill_in_second(empty_project)
    assert results("grid").verdict[1] == "COMPLETED"
    (empty_project.path / "go").touch()
    empty_project.pytest("--remex-collect")
    assert list(results("grid")["last"]) == [10, 20, 30]


def test_next_collect_of_others(killed):
    """A collect of other experiments puts what was recorded into its table, and keeps it."""
    killed.pytest("--remex-collect", "-k", "a=3").assert_outcomes(passed=1)
    assert not (killed.output / "grid" / RECORDED).exists()
    assert sorted(results("grid")["first"]) == [1, 2, 3]
    assert "so far" in (killed.output / "grid" / "results.csv").read_text()


def test_rows_of_a_collect_at_the_same_time(killed):
    """Rows that another collect records while a table is written are not lost if it is killed."""
    path = killed.output / "grid" / RECORDED
    row = path.read_bytes().splitlines()[-1].decode().replace("a=2", "a=9").replace(": 2", ": 9")
    hook = f"""
    def pytest_remex_collected(results, folder):
        with (folder / {RECORDED!r}).open("a") as file:
            file.write("\\n" + {row!r} + "\\n")
    """
    killed.write("conftest.py", hook)
    killed.pytest("--remex-collect", "-k", "a=3").assert_outcomes(passed=1)
    assert list(results("grid")["first"]) == [1, 2, 3, 9]


def test_next_collect_of_all(killed):
    """A whole collect leaves its own rows, once."""
    (killed.path / "go").touch()
    killed.pytest("--remex-collect").assert_outcomes(passed=2, failed=1)
    assert not (killed.output / "grid" / RECORDED).exists()
    table = results("grid").set_index("a")
    assert list(table["last"]) == [10, 20, 30]
    assert list(table.verdict) == ["FAILED", "PASSED", "PASSED"]


def test_killed_after_a_collect(killed):
    """If an earlier collect left a table, newer rows win, and the others stay."""
    (killed.path / "go").touch()
    killed.pytest("--remex-collect")
    (killed.path / "go").unlink()
    killed.edit("sweeps.py", "run.record(first=a,", "run.record(first=-a,")
    kill_in_second(killed)
    table = results("grid").set_index("a")
    assert list(table["first"]) == [-1, -2, 3]
    assert table["last"].isna().to_list() == [False, True, False]


def test_damaged_lines(killed):
    """A line that was cut short is left out, and the lines around it count."""
    path = killed.output / "grid" / RECORDED
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"format": 1, "node\n' + b"".join(lines[1:]) + lines[-1][:40])
    assert list(results("grid")["first"]) == [1, 2]


def test_points_that_the_sweep_has_no_more(killed):
    """Measures of a point that was removed from the sweep go into no new table."""
    (killed.path / "go").touch()
    killed.edit("sweeps.py", "[1, 2, 3]", "[2, 3]")
    killed.pytest("--remex-collect")
    assert sorted(results("grid")["first"]) == [2, 3]
    assert sorted(results("grid", everything=True)["first"]) == [1, 2, 3]


def test_no_collect_yet(empty_project, monkeypatch):
    """Without anything recorded there are no results, as before."""
    monkeypatch.chdir(empty_project.path)
    with pytest.raises(RemexError, match="no results of 'grid'"):
        results("grid")


FULL = """
import os, resource, signal
from pathlib import Path
from pytest_remex import sweep

ROWS = Path(__file__).parent / "remex-output" / "grid" / "recorded.jsonl"

@sweep({"a": [1, 2]}, fetch=["result.txt"])
def grid(experiment):
    a = experiment.config["a"]
    (experiment.path / "input.txt").write_text(f"a = {a}\\n")
    run = yield
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    if a == 1:
        space = ROWS.stat().st_size if ROWS.exists() else 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (space + 30, most[1]))
    try:
        run.record(first=a)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    if a == 2:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_row_after_one_that_was_cut_short(empty_project, monkeypatch):
    """A full disk that cuts a row short takes no other row with it, and the user is told."""
    empty_project.sweeps(FULL)
    empty_project.ran()
    monkeypatch.chdir(empty_project.path)
    shown = empty_project.pytest("--remex-collect", "-k", "a=1").stdout.str()
    assert "recorded.jsonl cannot be written (File too large)" in shown
    empty_project.start("--remex-collect", "--remex-fresh").communicate(timeout=60)
    assert list(results("grid")["first"]) == [1, 2]
