"""Ctrl-C while a batch is being sent."""

import os
import signal
import threading
import time

import pytest

from pytest_remex.launch.listener import deferred_interrupts


def interrupt():
    """Press Ctrl-C, and let Python notice."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)


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
