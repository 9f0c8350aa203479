"""Every mode names where experiments run, and ends with a command that is of use then."""

import re

import pytest

FAILING = """
from pytest_remex import sweep

@sweep({"a": ["fine", "fail", "bad"]}, fetch=["result.txt"])
def grid(experiment):
    (experiment.path / "input.txt").write_text(experiment.config["a"])
    run = yield
    assert run.read("result.txt") == "fine"
"""


def last_line(project, *arguments):
    """Return the last line that a mode says, and see that it names the target before."""
    result = project.pytest("sweeps.py", *arguments)
    lines = result.stdout.str().splitlines()
    mode = arguments[0].removeprefix("--remex-") if arguments else "dry run"
    (begin,) = [n for n, line in enumerate(lines) if f" remex {mode} on this machine " in line]
    said = []
    for line in lines[begin + 1 :]:
        if line.startswith("==="):
            break
        said.append(line)
    return said[-1]


@pytest.mark.parametrize("mode", ["status", "log", "clean", "cancel"])
def test_stopped_before_the_states_were_known(project, mode):
    """A mode that was stopped before it knew anything says so, and nothing about the jobs."""
    project.ran()
    text = project.pytest(f"--remex-{mode}", "--remex-launch=grid_2000").stdout.str()
    assert "next: the same command again: stopped before the states were known" in text
    assert "nothing to remove" not in text


def test_before_the_first_submit(project):
    """From the dry run to the submit each mode names the one after it."""
    assert last_line(project) == "nothing was sent: --remex-plan shows what a submit would send"
    assert last_line(project, "--remex-doctor") == "next: --remex-plan shows what would be sent"
    assert last_line(project, "--remex-plan") == "nothing was sent: --remex-submit sends it"
    for mode in ("status", "collect", "cancel", "log"):
        assert "--remex-submit" in last_line(project, f"--remex-{mode}"), mode


def test_after_a_submit(project):
    """While jobs wait and run, the next thing is to wait for them; then to collect."""
    project.edit("sweeps.py", 'f"a = {experiment.config', 'f"wait = {experiment.config')
    submitted = "next: --remex-status --remex-wait, then --remex-collect"
    assert last_line(project, "--remex-submit") == submitted
    assert last_line(project, "--remex-submit") == "next: --remex-status shows their state"
    shows = "nothing was sent: --remex-status shows the state of the experiments"
    assert last_line(project, "--remex-plan") == shows
    waits = "next: --remex-status --remex-wait waits until all have ended"
    assert last_line(project, "--remex-status") == waits
    assert last_line(project, "--remex-collect") == waits
    project.release_waiting()
    project.wait()
    collects = "next: --remex-collect fetches and judges the outputs"
    assert last_line(project, "--remex-status") == collects
    results = last_line(project, "--remex-collect")
    assert last_line(project, "--remex-status") == f"{results}; --remex-collect judges again"


def test_after_a_clean(project):
    """When all runs are removed, status names what runs them again, which it does."""
    project.ran()
    project.pytest("--remex-collect")
    project.pytest("--remex-clean", "--remex-yes")
    again = "next: --remex-submit --remex-retry=all runs again what is gone"
    assert last_line(project, "--remex-status") == again
    assert "results('grid')" in last_line(project, "--remex-collect")
    project.ran("--remex-retry=all")
    assert len(project.jobs()) == 6
    assert last_line(project, "--remex-status").startswith("next: --remex-collect")


def test_after_failures(empty_project):
    """If jobs or checks failed, the option that sends them again is named."""
    empty_project.sweeps(FAILING)
    empty_project.ran()
    assert "--remex-submit --remex-retry" in last_line(empty_project, "--remex-status")
    assert "--remex-submit --remex-retry" in last_line(empty_project, "--remex-collect")
    only = ("-k", "fine or bad")
    again = last_line(empty_project, "--remex-collect", *only)
    assert again.startswith("next: --remex-collect again if the check was wrong")
    assert "--remex-retry=check" in again
    assert "pytest_remex.results('grid')" in last_line(empty_project, "--remex-collect", "-k=fine")


def test_after_patches_that_failed(empty_project):
    """If no patch applies, submit says how to see why."""
    empty_project.sweeps(FAILING.replace('"input.txt")', '"no/such")'))
    line = last_line(empty_project, "--remex-submit")
    assert line == "next: --remex-plan shows what would be sent"
    corrects = (
        "nothing was sent: correct what failed, then --remex-plan shows what a submit would send"
    )
    assert last_line(empty_project, "--remex-plan") == last_line(empty_project) == corrects


@pytest.mark.parametrize("mode", ["submit", "status", "collect"])
def test_named_commands_are_options(project, mode):
    """The options in the message are known to pytest."""
    project.ran()
    line = last_line(project, f"--remex-{mode}")
    known = project.pytest("--help").stdout.str()
    for option in re.findall(r"--remex-[a-z-]+", line):
        assert option in known
