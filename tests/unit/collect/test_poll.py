"""Polling backs off exponentially, and continues only while a job is live."""

from types import SimpleNamespace

import pytest

from pytest_remex.collect import query
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import ConnectionLostError


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that sleeping moves; it lists the pauses."""
    pauses = []
    monkeypatch.setattr(query.time, "sleep", pauses.append)
    monkeypatch.setattr(query.time, "monotonic", lambda: sum(pauses))
    return pauses


def asking(*states):
    """Return a question whose answers are these states, the last one for ever."""
    left = list(states)
    return lambda: {"run": Job("1", left.pop(0) if len(left) > 1 else left[0])}


def test_once_without_a_limit(clock):
    """Without waiting, one question is asked."""
    assert len(list(query.until_ended(asking(JobState.RUNNING), None))) == 1
    assert clock == []


def test_until_the_end(clock):
    """Asked until all have ended."""
    found = list(query.until_ended(asking(*[JobState.RUNNING] * 4, JobState.FAILED), 0))
    assert [jobs["run"].state for jobs in found][-1] is JobState.FAILED
    assert len(found) == 5


def test_back_off(clock):
    """The pauses grow, up to a limit."""
    list(query.until_ended(asking(JobState.PENDING), 3600))
    assert clock[0] == query.FIRST
    assert clock[1] > clock[0]
    assert max(clock) == query.LAST


def test_limit(clock):
    """The last pause ends at the limit, and one more question is asked then."""
    found = list(query.until_ended(asking(JobState.RUNNING), 10))
    assert sum(clock) == pytest.approx(10)
    assert len(found) == len(clock) + 1


class Cluster:
    """A place whose answers take a while by the test's clock, and whose link may break."""

    def __init__(self, clock, monkeypatch, takes, breaks=0):
        self.clock, self.takes, self.breaks, self.dropped = clock, takes, breaks, 0
        remote = SimpleNamespace(host="cluster")
        run = SimpleNamespace(directory="run")
        self.runs = [SimpleNamespace(run=run, launch=SimpleNamespace(remote=remote))]
        self.announced = []
        monkeypatch.setattr(query, "query", self._answer)

    to = None

    def drop_broken(self):
        self.dropped += 1

    def wait(self, limit):
        """Wait for the runs; return the pauses between answers, without what those took."""
        list(query.poll(self.runs, self, query.Pace(limit, 30.0, self.announced.append)))
        return [pause for pause in self.clock if pause != self.takes]

    def _answer(self, runs, _connect, _options):
        if self.clock and self.breaks:
            self.breaks -= 1
            raise ConnectionLostError("the link broke: what then")
        self.clock.append(self.takes)
        return {each.run.directory: Job("1", JobState.PENDING) for each in runs}


def test_a_cluster_is_asked_seldom(clock, monkeypatch):
    """Two questions to a cluster are at least as far apart as the pace says."""
    assert Cluster(clock, monkeypatch, takes=0.5).wait(100)[:3] == [30.0] * 3


def test_a_slow_cluster_is_asked_more_seldom(clock, monkeypatch):
    """After an answer that took long ten times as long goes by; the first one logs in."""
    assert Cluster(clock, monkeypatch, takes=7.0).wait(400)[:3] == [30.0, 70.0, 70.0]


def test_pauses_of_a_broken_link_grow_and_do_not_count_as_an_answer(clock, monkeypatch):
    """Each attempt to reconnect comes later than the last, and then the pace is the old one."""
    cluster = Cluster(clock, monkeypatch, takes=0.5, breaks=4)
    assert cluster.wait(300)[:6] == [30.0, 5.0, 10.0, 20.0, 40.0, 30.0]
    assert cluster.dropped == 4
    assert [line.split(": ")[1] for line in cluster.announced[:1]] == ["the link broke"]
    assert cluster.announced[-1] == "remex: reconnected"


def test_unknown_is_not_waited_for(clock):
    """There is no wait for jobs of unknown state only."""
    assert len(list(query.until_ended(asking(JobState.UNKNOWN), 0))) == 1
