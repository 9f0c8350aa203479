"""A sweep function's call, paused at its `yield`: the patch before it, the check after it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from typing import cast

from pytest_remex.errors import SweepError
from pytest_remex.model import Run, Scalar


class Body:
    """One call of a sweep function. `patch` comes first, then `check` or nothing, then `close`."""

    def __init__(self, call: Callable[[], object], title: str) -> None:
        self._call = call
        self._title = title
        self._paused: Generator[None, Run, object] | None = None

    def patch(self) -> None:
        """Run the body up to its `yield`, or to its end where it has none."""
        __tracebackhide__ = True
        result = self._call()
        if inspect.iscoroutine(result) or inspect.isasyncgen(result):
            if inspect.iscoroutine(result):
                result.close()
            raise SweepError(f"sweep {self._title} is async: write a plain function")
        if not inspect.isgenerator(result):
            return
        try:
            next(result)
        except StopIteration:
            return
        self._paused = cast("Generator[None, Run, object]", result)

    def check(self, run: Run) -> Mapping[str, Scalar]:
        """Run the body after its `yield`, and give the measures that it returns."""
        __tracebackhide__ = True
        if self._paused is None:
            return {}
        try:
            self._paused.send(run)
        except StopIteration as end:
            return _measures(end.value, self._title)
        raise SweepError(f"sweep {self._title} yields twice: a sweep yields once, for its run")

    def close(self) -> None:
        """End a paused body; what it left in `finally` runs."""
        if self._paused is not None:
            self._paused.close()


def _measures(value: object, title: str) -> Mapping[str, Scalar]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SweepError(
            f"sweep {title} returns {value!r}: return a dict of measures, name to number or text"
        )
    return {str(name): _scalar(one) for name, one in value.items()}


def _scalar(value: object) -> Scalar:
    if type(value).__module__.partition(".")[0] in {"numpy", "pandas"} and hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, str | int | float | bool | None) else str(value)
