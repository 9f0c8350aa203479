"""Send a batch in the background while the next one is prepared.

Whoever waits for it shows its progress, and handles Ctrl-C.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from queue import SimpleQueue
from typing import Protocol, TypeAlias

from pytest_remex.collect.hooks import GuardedHooks
from pytest_remex.display import Progress, show_nothing
from pytest_remex.records.schema import RunRecord

Step: TypeAlias = tuple[str, int, int, str]


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


class BackgroundBatch:
    """Run `send` in a thread; the caller that waits for the result shows its progress."""

    def __init__(self, send: Callable[[Progress], list[RunRecord]]) -> None:
        self._steps: SimpleQueue[Step | None] = SimpleQueue()
        self._runs: Future[list[RunRecord]] = Future()
        # A daemon thread: a push that hangs must not keep the command from ending.
        self._thread = threading.Thread(target=self._run, args=(send,), daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it is still running."""
        return not self._runs.done()

    def result(self, progress: Progress) -> list[RunRecord]:
        """Wait for `send` to finish, and return its result. Raises what `send` raised."""
        for step in iter(self._steps.get, None):
            progress(*step)
        return self._runs.result()

    def abandon(self, seconds: float) -> None:
        """Wait at most `seconds` for the end; its connection must have been closed before."""
        self._thread.join(seconds)

    def _run(self, send: Callable[[Progress], list[RunRecord]]) -> None:
        try:
            self._runs.set_result(send(self._note))
        except BaseException as error:  # noqa: BLE001 - raised by `result`
            self._runs.set_exception(error)
        finally:
            self._steps.put(None)

    def _note(self, phase: str, done: int, total: int, detail: str = "") -> None:
        self._steps.put((phase, done, total, detail))


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
