"""Ctrl-C waits until the batch in flight is whole; a second one does not wait."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupts(announce: Callable[[], None]) -> Iterator[None]:
    """Raise a KeyboardInterrupt that comes meanwhile only at the end; tell of it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def defer(number: int, _frame: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)
        announce()

    before = signal.signal(signal.SIGINT, defer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
