"""The remaining time, from jobs that completed and the progress of running ones."""

import pytest

from pytest_remex.collect.watch import estimate, last_line, readable
from pytest_remex.common.jobs import Job, JobState


def jobs(*states):
    """Return jobs by state, elapsed seconds and progress."""
    return [(Job("1", JobState[state], elapsed=elapsed), part) for state, elapsed, part in states]


def test_nothing_left():
    """If all have ended, there is no estimate."""
    assert estimate(jobs(("COMPLETED", 5.0, None), ("FAILED", 5.0, None))) == ""


def test_no_grounds():
    """There is no time before a job has completed or reported progress."""
    text = estimate(jobs(("RUNNING", 5.0, None), ("PENDING", None, None), ("FAILED", 1.0, None)))
    assert text.startswith("2 jobs left, 1 of them running: no estimate before one")


def test_by_completed_jobs():
    """Jobs that wait take their turns in as many places as run now."""
    completed, running = ("COMPLETED", 600.0, None), ("RUNNING", 300.0, None)
    text = estimate(jobs(completed, running, running, *[("PENDING", None, None)] * 4))
    assert text == "6 jobs left, 2 of them running: about 25 min to go, by 1 job of 10 min"


def test_longer_than_all_before():
    """A job that runs longer than those before it is no ground for a time: points may differ."""
    text = estimate(jobs(("COMPLETED", 1.0, None), ("RUNNING", 20.0, None)))
    assert text.endswith(" running: no estimate, as one runs longer than 1 job of 1 s")


def test_none_is_running():
    """If no job runs, the number of simultaneous jobs is unknown."""
    text = estimate(jobs(("COMPLETED", 600.0, None), ("HELD", None, None), ("HELD", None, None)))
    assert text == "2 jobs left, 0 of them running: about 10 min each, by 1 job of 10 min"


def test_by_progress():
    """The slowest job that runs is waited for."""
    text = estimate(jobs(("RUNNING", 60.0, 0.5), ("RUNNING", 60.0, 0.1)))
    assert "about 9 min to go, by 2 jobs of 6 min on average" in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "1 s"), (42, "42 s"), (750, "12 min"), (9000, "2 h"), (90000, "25 h"), (260000, "3 days")],
)
def test_readable(seconds, words):
    """Durations are formatted as one says them."""
    assert readable(seconds) == words


@pytest.mark.parametrize(
    ("text", "line"), [("", ""), ("a\nb\n\n", "b"), ("10%\n20%\n", "20%"), ("  x \n \n", "x")]
)
def test_last_line(text, line):
    """The last line is the last one that says something."""
    assert last_line(text) == line
