"""Call hooks of users and extensions; if one raises, report it and continue without it.

This is for hooks that only add something. If a reader of outputs or configs raises, the experiment
fails with that message, because its data could not be checked.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pluggy

from pytest_remex.errors import RemexError, SweepError

OURS = "pytest_remex."


class GuardedHooks:
    """The hooks of a relay, pytest's or a script's.

    Args:
        relay: The hooks.
        tell: Called with a message if a hook raises, once for each hook.

    """

    def __init__(self, relay: pluggy.HookRelay, tell: Callable[[str], None]) -> None:
        self.relay = relay
        self._tell = tell
        self._reported: set[str] = set()

    def call(self, name: str, **arguments: object) -> list[Any]:
        """Return the results of a hook's implementations that are not None, the last one first."""
        return list(self._results(name, arguments))

    def flat(self, name: str, **arguments: object) -> list[Any]:
        """Return the results of a hook's implementations, each a sequence, as one list."""
        return [item for items in self._results(name, arguments) for item in items]

    def first(self, name: str, **arguments: object) -> Any:  # noqa: ANN401 - the hook decides
        """Return the first result; None if there is none."""
        return next(self._results(name, arguments), None)

    def _results(self, name: str, arguments: dict[str, object]) -> Iterator[Any]:
        for hook in reversed(getattr(self.relay, name).get_hookimpls()):
            try:
                # Wrappers are skipped: there is no single result that they could change.
                wraps = hook.wrapper or hook.hookwrapper
                result = None if wraps else hook.function(*map(arguments.get, hook.argnames))
            except Exception as error:  # noqa: BLE001 - whatever a user's code raises
                self._tell_once(hook, name, error)
            else:
                if result is not None:
                    yield result

    def _tell_once(self, hook: pluggy.HookImpl, name: str, error: Exception) -> None:
        place = _place(hook, error)
        if f"{name} {place}" not in self._reported:
            self._reported.add(f"{name} {place}")
            message = "".join(traceback.format_exception_only(error)).strip()
            self._tell(f"the hook {name} at {place} raised {message}; its result is left out")


def modules_of(callers: Iterable[pluggy.HookCaller]) -> list[str]:
    """Return the names of the modules of the plugins that implement hooks."""
    plugins = [hook.plugin for caller in callers for hook in caller.get_hookimpls()]
    return [str(getattr(plugin, "__name__", type(plugin).__module__)) for plugin in plugins]


@contextmanager
def naming_hook(caller: pluggy.HookCaller) -> Iterator[None]:
    """Convert an exception of a user's hook to a message with the hook's name and location.

    This is for hooks without which an experiment cannot continue. Errors of this package are not
    converted.

    Raises:
        SweepError: The hook raised an exception other than a `RemexError`.

    """
    try:
        yield
    except RemexError:
        raise
    except Exception as error:
        frames = {Path(each.filename) for each in traceback.extract_tb(error.__traceback__)}
        raising = [hook for hook in caller.get_hookimpls() if Path(_file(hook)) in frames]
        if not raising or str(getattr(raising[-1].function, "__module__", "")).startswith(OURS):
            raise
        message = "".join(traceback.format_exception_only(error)).strip()
        place = _place(raising[-1], error)
        raise SweepError(f"the hook {caller.name} at {place} raised {message}") from error


def _file(hook: pluggy.HookImpl) -> str:
    return inspect.getsourcefile(inspect.unwrap(hook.function)) or hook.plugin_name


def _place(hook: pluggy.HookImpl, error: Exception) -> str:
    """Return the file and line of the hook that raised: the deepest frame in its own file."""
    file = _file(hook)
    lines = [each.lineno for each in traceback.extract_tb(error.__traceback__)
             if Path(each.filename) == Path(file)]  # fmt: skip
    return f"{file}:{lines[-1]}" if lines else file
