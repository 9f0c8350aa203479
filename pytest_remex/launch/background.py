"""A batch on its way to the cluster, in a thread of its own, while the next one is prepared."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TypeAlias

from pytest_remex.launch.session import Outcome, Progress

Told: TypeAlias = tuple[str, int, int, str]


class BackgroundBatch:
    """Runs `send` in a thread; what it tells of its progress is shown by who waits for it."""

    def __init__(self, send: Callable[[Progress], list[Outcome]]) -> None:
        self._told: SimpleQueue[Told | None] = SimpleQueue()
        self._outcomes: Future[list[Outcome]] = Future()
        # A daemon: a push that hangs must not keep pytest from its end.
        self._thread = threading.Thread(target=self._run, args=(send,), daemon=True)
        self._thread.start()

    @property
    def up(self) -> bool:
        """Whether it is on its way."""
        return not self._outcomes.done()

    def land(self, progress: Progress) -> list[Outcome]:
        """Wait for its end, and give one outcome for each order. Raises what `send` raised."""
        for told in iter(self._told.get, None):
            progress(*told)
        return self._outcomes.result()

    def crash(self, seconds: float) -> None:
        """Wait a while for its end; its connection must have been closed before."""
        self._thread.join(seconds)

    def _run(self, send: Callable[[Progress], list[Outcome]]) -> None:
        try:
            self._outcomes.set_result(send(self._tell))
        except BaseException as error:  # noqa: BLE001 - raised where the batch lands
            self._outcomes.set_exception(error)
        finally:
            self._told.put(None)

    def _tell(self, what: str, done: int, total: int, detail: str = "") -> None:
        self._told.put((what, done, total, detail))
