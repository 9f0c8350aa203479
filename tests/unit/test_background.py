"""A function in a thread of its own, and the messages that it sends."""

import threading
import time

import pytest

from pytest_remex.background import BackgroundCall
from pytest_remex.errors import RemoteError


def test_result_and_messages():
    """Messages are handled by the thread that waits, in order, before the result is returned."""
    handled = []

    def send_two(send):
        send("pushing")
        send("placing")
        return "run"

    call = BackgroundCall(send_two, "a test")
    here = threading.current_thread()
    result = call.result(lambda message: handled.append((message, threading.current_thread())))
    assert result == "run"
    assert handled == [("pushing", here), ("placing", here)]
    assert not call.running


def test_error():
    """The error that ends a call is raised in the thread that waits for it."""

    def fail(_send):
        raise RemoteError("the link broke")

    with pytest.raises(RemoteError, match="the link broke"):
        BackgroundCall(fail, "a test").result(print)


def test_join():
    """A call that hangs is left behind after the seconds given, and may still return."""
    hangs = threading.Event()
    call = BackgroundCall(lambda _send: hangs.wait(60), "a test")
    begun = time.monotonic()
    call.join(0.05)
    assert time.monotonic() - begun < 30
    assert call.running
    hangs.set()
    assert call.result(print) is True


def test_then():
    """What is to be done with the result is done with a later one too, but not after an error."""
    may_return, results = threading.Event(), []
    call = BackgroundCall(lambda _send: may_return.wait(60), "a test")
    call.then(results.append)
    assert not results
    may_return.set()
    call.join(60)
    call.then(results.append)
    assert results == [True, True]
    failed = BackgroundCall(lambda _send: 1 / 0, "a test")
    failed.then(results.append)
    failed.join(60)
    assert results == [True, True]
