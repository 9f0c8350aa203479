"""Lines on the progress of something that takes long."""

import pytest

from pytest_remex.pytest_plugin import terminal
from pytest_remex.pytest_plugin.terminal import ProgressLines


@pytest.fixture
def clock(monkeypatch):
    """Return a function that sets the time in seconds."""
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])

    def set_to(seconds):
        now[0] = seconds

    return set_to


def test_lines_are_few_and_say_what_is_left(clock):
    """A line comes at most once in a pause, with the time left at the speed so far."""
    lines = []
    progress = ProgressLines(lines.append, pause=60)
    for second in range(150):
        clock(second)
        progress.tell("placing", 100 + second, 1100)
    assert lines == ["placing 160 of 1100, 0:15:40 left", "placing 220 of 1100, 0:14:40 left"]


def test_what_is_over_soon_has_no_line(clock):
    """Phases that are shorter than a pause write nothing."""
    lines = []
    progress = ProgressLines(lines.append, pause=60)
    for phase in range(10):
        for done in range(5):
            clock(10 * phase + 2 * done)
            progress.tell(f"phase {phase}", done, 4)
    assert lines == []


def test_nothing_done_has_no_time_left(clock):
    """Before the first is done, how long the rest takes is not known."""
    lines = []
    progress = ProgressLines(lines.append, pause=60)
    for second in (0, 61):
        clock(second)
        progress.tell("fetching", 0, 8, "2 MB/s")
    assert lines == ["fetching 0 of 8, 2 MB/s"]
