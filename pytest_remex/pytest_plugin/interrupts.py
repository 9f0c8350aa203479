"""Ctrl-C lets the batch in flight become whole; a second one does not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def deferred_interrupts(came: Callable[[], None]) -> Iterator[Sequence[int]]:
    """Tell of a Ctrl-C that comes meanwhile; a second one raises KeyboardInterrupt at once.

    Gives the list of those that came.
    """
    numbers: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield numbers
        return

    def defer(number: int, _frame: object) -> None:
        numbers.append(number)
        if len(numbers) > 1:
            raise KeyboardInterrupt
        came()

    before = signal.signal(signal.SIGINT, defer)
    try:
        yield numbers
    finally:
        signal.signal(signal.SIGINT, before)
