"""Other plugins beside this one: they see an experiment's reports as they see a test's."""

import json
import time

import pytest

from pytest_remex.launch import launcher

RECORDER = """
import json
import pathlib
import pytest

seen = []
path = pathlib.Path("seen.json")

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if call.when == "setup":
        item.stash[KEY] = []
    item.stash[KEY].append(call.when)
    seen.append(["make", item.name, call.when, report.outcome])
    if call.when == "teardown":
        assert item.stash[KEY] == ["setup", "call", "teardown"]
        del item.stash[KEY]

def pytest_runtest_logreport(report):
    seen.append(["log", report.nodeid.partition("::")[2], report.when, report.outcome])

def pytest_sessionfinish():
    path.write_text(json.dumps(seen))

KEY = pytest.StashKey()
"""


def seen(project, kind):
    """Return what the recorder saw, by item: the phases and outcomes, in order."""
    found = {}
    for each, name, when, outcome in json.loads((project.path / "seen.json").read_text()):
        if each == kind:
            found.setdefault(name, []).append((when, outcome))
    return found


def passed(call="passed"):
    """Return the reports of an item whose setup and teardown went well."""
    return [("setup", "passed"), ("call", call), ("teardown", "passed")]


def test_reports_in_order(project):
    """A submit makes the reports of each item once, in pytest's order, and logs them so."""
    project.write("conftest.py", RECORDER)
    project.submit("-k", "a=1 or a=2")
    for kind in ("make", "log"):
        assert seen(project, kind) == {"grid[a=1]": passed(), "grid[a=2]": passed()}
    project.submit()
    assert seen(project, "log") == {
        "grid[a=1]": passed("skipped"),
        "grid[a=2]": passed("skipped"),
        "grid[a=3]": passed(),
    }


@pytest.mark.parametrize("mode", ["plan", "submit", "collect"])
def test_looponfail(project, mode):
    """A mode refuses the option of pytest-xdist that starts pytest again and again."""
    pytest.importorskip("xdist")
    result = project.pytest("-p", "xdist.looponfail", "-p", "xdist", "-f", f"--remex-{mode}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: -f of pytest-xdist * leave out -f"])


def test_a_late_outcome(project):
    """Facts that are known only after the batch was sent are in the logged reports."""
    project.ran()
    project.write("conftest.py", RECORDER)
    project.submit("--remex-retry").assert_outcomes(skipped=3)
    assert set(map(tuple, seen(project, "make")["grid[a=1]"])) == set(passed())
    assert seen(project, "log") == {f"grid[a={a}]": passed("skipped") for a in (1, 2, 3)}
    project.write("pytest.ini", "[pytest]\nremex_confirm = 1\n")
    result = project.pytest("--remex-submit", "--remex-retry=all", "-rf")
    result.stdout.fnmatch_lines(["FAILED sweeps.py::grid[[]a=1] - Failed: not submitted: this*"])
    assert seen(project, "log") == {"grid[a=1]": passed("failed")}


def test_tmp_path(empty_project):
    """A fixture that reads its item's reports, as tmp_path does, works in a submit."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"a": [1, 2]})
        def grid(experiment, tmp_path):
            (tmp_path / "draft").write_text(str(experiment.config["a"]))
            (experiment.path / "input.txt").write_text((tmp_path / "draft").read_text())
        """)
    empty_project.submit().assert_outcomes(passed=2)


@pytest.mark.parametrize("mode", [(), ("--remex-plan",), ("--remex-submit",), ("--remex-status",)])
def test_without_a_terminal(project, mode):
    """Every mode works if pytest has no terminal plugin."""
    result = project.pytest("-p", "no:terminal", "sweeps.py", *mode)
    assert result.ret == (10 if mode == ("--remex-status",) else 0)


FORKED = """
import os
import pytest
from _pytest.runner import runtestprotocol

def pytest_addoption(parser):
    parser.addoption("--forked", action="store_true")

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    if item.config.getoption("forked"):
        child = os.fork()
        if not child:
            runtestprotocol(item, nextitem=nextitem, log=False)
            os._exit(0)
        os.waitpid(child, 0)
        return True
"""


def test_forked(project):
    """The option --forked of pytest-forked does not part experiments, which share a connection."""
    project.write("conftest.py", FORKED)
    project.pytest("--forked", "sweeps.py").assert_outcomes(passed=3)
    project.ran("--forked")
    project.pytest("--remex-collect", "--forked").assert_outcomes(passed=3)


def test_timeout(project, monkeypatch):
    """pytest-timeout's limit for a test ends neither a submit nor a wait; a patch has it."""
    send = launcher._send
    monkeypatch.setattr(launcher, "_send", lambda *batch: (time.sleep(1.2), send(*batch))[1])
    limit = ("-p", "pytest_timeout", "--timeout=1", "--timeout-method=signal")
    project.edit("sweeps.py", "a = {experiment", "wait a = {experiment")
    project.submit(*limit).assert_outcomes(passed=3)
    for mode in ("--remex-status", "--remex-collect"):
        waited = project.pytest(mode, "--remex-wait=1.5", "-k", "a=1", *limit)
        assert waited.ret == 10
        waited.stdout.no_fnmatch_line("*Timeout*")
    project.edit("sweeps.py", "    run = yield", "    import time; time.sleep(9)\n    run = yield")
    tried = project.pytest("sweeps.py", "-k", "a=1", *limit)
    tried.assert_outcomes(failed=1)
    tried.stdout.fnmatch_lines(["*Timeout (>1.0s)*"])
