"""A batch in a thread of its own, and Ctrl-C meanwhile."""

import os
import signal
import threading
import time

import pytest

from pytest_remex.errors import RemoteError
from pytest_remex.launch.background import BackgroundBatch, deferred_interrupts


def interrupt():
    """Press Ctrl-C, and let Python notice."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)


def test_result_and_progress():
    """The steps of a batch are shown to the thread that waits, in order, before its result."""
    shown = []

    def send(progress):
        progress("pushing", 0, 2)
        progress("placing", 2, 2, "all")
        return ["run"]

    batch = BackgroundBatch(send)
    assert batch.result(lambda *step: shown.append(step)) == ["run"]
    assert shown == [("pushing", 0, 2, ""), ("placing", 2, 2, "all")]
    assert not batch.running


def test_error():
    """The error that ends a batch is raised in the thread that waits for it."""

    def send(_progress):
        raise RemoteError("the link broke")

    with pytest.raises(RemoteError, match="the link broke"):
        BackgroundBatch(send).result(lambda *_: None)


def test_abandon():
    """A batch that hangs is left behind after the seconds given."""
    hangs = threading.Event()
    batch = BackgroundBatch(lambda _progress: [hangs.wait(60)])
    begun = time.monotonic()
    batch.abandon(0.05)
    assert time.monotonic() - begun < 30
    assert batch.running
    hangs.set()
    assert batch.result(lambda *_: None) == [True]


def test_interrupts():
    """The first Ctrl-C is delayed, with a message, the second is not; then all is restored."""
    before, calls = signal.getsignal(signal.SIGINT), []
    with deferred_interrupts(lambda: calls.append("now")) as interrupts:
        interrupt()
        assert list(interrupts) == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    assert calls == ["now"]
    assert signal.getsignal(signal.SIGINT) is before


def test_interrupts_in_a_thread():
    """Outside of the main thread, where signals cannot be caught, nothing is deferred."""
    before, seen = signal.getsignal(signal.SIGINT), []

    def run():
        with deferred_interrupts(lambda: None) as interrupts:
            seen.append((list(interrupts), signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [([], True)]
