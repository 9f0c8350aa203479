"""Do the same to many things, several at a time."""

import threading
from typing import Callable, Iterable, Iterator, List, TypeVar

Thing = TypeVar("Thing")


def each(things: Iterable[Thing], act: Callable[[Thing], None], width: int) -> None:
    """Call `act` for every thing from `width` threads; the first exception stops the rest."""
    todo = _Shared(things)
    failures: List[BaseException] = []

    def work() -> None:
        for thing in todo:
            if failures:
                return
            try:
                act(thing)
            except BaseException as error:  # noqa: BLE001 - raised below, where the caller is
                failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(width)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class _Shared(Iterator[Thing]):
    """An iterator that several threads may use."""

    def __init__(self, things: Iterable[Thing]) -> None:
        self._things = iter(things)
        self._lock = threading.Lock()

    def __next__(self) -> Thing:
        with self._lock:
            return next(self._things)
