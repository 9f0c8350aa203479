"""Polling backs off exponentially, and goes on only as long as a job is live."""

import pytest

from pytest_remex.collect import poll
from pytest_remex.common.jobs import Job, JobState


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that sleeping moves; it lists the pauses."""
    pauses = []
    monkeypatch.setattr(poll.time, "sleep", pauses.append)
    monkeypatch.setattr(poll.time, "monotonic", lambda: sum(pauses))
    return pauses


def asking(*states):
    """Return a question whose answers are these states, the last one for ever."""
    left = list(states)
    return lambda: {"run": Job("1", left.pop(0) if len(left) > 1 else left[0])}


def test_once_without_a_limit(clock):
    """Without waiting, one question is asked."""
    assert len(list(poll.until_ended(asking(JobState.RUNNING), None))) == 1
    assert clock == []


def test_until_the_end(clock):
    """Asked until all have ended."""
    found = list(poll.until_ended(asking(*[JobState.RUNNING] * 4, JobState.FAILED), 0))
    assert [jobs["run"].state for jobs in found][-1] is JobState.FAILED
    assert len(found) == 5


def test_back_off(clock):
    """The pauses grow, up to a limit."""
    list(poll.until_ended(asking(JobState.PENDING), 3600))
    assert clock[0] == poll.FIRST
    assert clock[1] > clock[0]
    assert max(clock) == poll.LAST


def test_limit(clock):
    """The last pause ends at the limit, and one more question is asked then."""
    found = list(poll.until_ended(asking(JobState.RUNNING), 10))
    assert sum(clock) == pytest.approx(10)
    assert len(found) == len(clock) + 1


def test_a_cluster_is_asked_seldom(clock):
    """Two questions to a cluster are as far apart as the pace says, and ten times the answer."""
    list(poll.until_ended(asking(JobState.PENDING), 300, 30.0))
    assert clock[:2] == [30.0, 30.0]
    assert len(clock) == 10

    def slow():
        clock.append(7.0)  # the answer takes so long
        return {"run": Job("1", JobState.PENDING)}

    del clock[:]
    list(poll.until_ended(slow, 300, 30.0))
    assert clock[:6] == [7.0, 30.0, 7.0, 70.0, 7.0, 70.0]


def test_unknown_is_not_waited_for(clock):
    """Unknown states alone are not waited for."""
    assert len(list(poll.until_ended(asking(JobState.UNKNOWN), 0))) == 1
