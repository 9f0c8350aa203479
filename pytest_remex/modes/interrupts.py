"""Ctrl-C lets the batch in flight become whole; a second one does not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupts(came: Callable[[], None]) -> Iterator[None]:
    """Tell of a Ctrl-C that comes meanwhile; a second one raises KeyboardInterrupt at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers: list[int] = []

    def defer(number: int, _frame: object) -> None:
        if numbers:
            raise KeyboardInterrupt
        numbers.append(number)
        came()

    before = signal.signal(signal.SIGINT, defer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
