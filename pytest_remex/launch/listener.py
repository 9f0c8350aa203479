"""Who uses a `Submitter`, pytest or a script; and Ctrl-C while a batch is being sent."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from pytest_remex.display import Progress, show_nothing
from pytest_remex.hooks import GuardedHooks


class Listener(Protocol):
    """The user of a `Submitter`: pytest, or a script."""

    hooks: GuardedHooks
    """The hooks that are told of jobs, and asked how runs continue."""

    def progress(self) -> AbstractContextManager[Progress]:
        """Show the progress of a phase."""

    def interrupted(self) -> None:
        """Handle Ctrl-C while a batch is being sent: no other should be sent."""

    def may_continue(self) -> bool:
        """Handle changed outcomes; return whether to send more."""


class QuietListener:
    """The listener of a script: it shows nothing, and stops after Ctrl-C."""

    def __init__(self, hooks: GuardedHooks) -> None:
        self.hooks = hooks
        self._interrupted = False

    def progress(self) -> AbstractContextManager[Progress]:
        """Show nothing."""
        return nullcontext(show_nothing)

    def interrupted(self) -> None:
        """Remember it."""
        self._interrupted = True

    def may_continue(self) -> bool:
        """Raise KeyboardInterrupt after Ctrl-C; else return True."""
        if self._interrupted:
            raise KeyboardInterrupt
        return True


@contextmanager
def deferred_interrupts(interrupted: Callable[[], None]) -> Iterator[Sequence[int]]:
    """Defer Ctrl-C within a `with` block; a second Ctrl-C raises KeyboardInterrupt at once.

    Args:
        interrupted: Called at the first Ctrl-C.

    Yields:
        The signals received; always empty outside the main thread.
    """
    numbers: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield numbers
        return

    def defer(number: int, _frame: object) -> None:
        numbers.append(number)
        if len(numbers) > 1:
            raise KeyboardInterrupt
        interrupted()

    before = signal.signal(signal.SIGINT, defer)
    try:
        yield numbers
    finally:
        signal.signal(signal.SIGINT, before)
