"""Run a function in another thread while more work is done."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Message = TypeVar("Message")
Result = TypeVar("Result")


class BackgroundCall(Generic[Message, Result]):
    """A function that runs in a thread, and sends messages to whoever waits for its result.

    It is a daemon thread: a push that hangs, or a host that does not answer, must not keep the
    command from ending.

    Args:
        function: Called in the thread with a function that sends a message.
        name: The thread's name.
    """

    def __init__(self, function: Callable[[Callable[[Message], None]], Result], name: str) -> None:
        self._messages: SimpleQueue[Message | None] = SimpleQueue()
        self._result: Future[Result] = Future()
        self._thread = threading.Thread(target=self._run, args=(function,), name=name, daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it is still running."""
        return not self._result.done()

    def result(self, handle: Callable[[Message], object]) -> Result:
        """Handle messages until the function returns, and return its result.

        Raises what the function or `handle` raised.
        """
        for message in iter(self._messages.get, None):
            handle(message)
        return self._result.result()

    def join(self, seconds: float) -> None:
        """Wait at most so many seconds for its end."""
        self._thread.join(seconds)

    def then(self, act: Callable[[Result], object]) -> None:
        """Call `act` with the result, now or once there is one; not if the function raises."""
        self._result.add_done_callback(
            lambda done: act(done.result()) if done.exception() is None else None
        )

    def _run(self, function: Callable[[Callable[[Message], None]], Result]) -> None:
        try:
            self._result.set_result(function(self._messages.put))
        except BaseException as error:  # noqa: BLE001 - raised by `result`
            self._result.set_exception(error)
        finally:
            self._messages.put(None)
