"""The user of a `Submitter`, which receives its progress and outcomes: pytest, or a script."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from pytest_remex.collect.hooks import GuardedHooks
from pytest_remex.display import Progress, show_nothing
from pytest_remex.experiment import Experiment
from pytest_remex.hookspecs import Continuation
from pytest_remex.launch.continuation import EndedEarly, continuation_of


class Listener(Protocol):
    """The user of a `Submitter`: pytest, or a script."""

    def progress(self) -> AbstractContextManager[Progress]:
        """Show the progress of a phase."""

    def interrupted(self) -> None:
        """Handle Ctrl-C while a batch is being sent: no other should be sent."""

    def may_continue(self) -> bool:
        """Handle changed outcomes; return whether to send more."""

    def continuation(self, ended: EndedEarly, experiment: Experiment) -> Continuation:
        """Return how to continue a run whose job was ended early."""

    def submitted(self, launch: str, jobs: Mapping[str, str]) -> None:
        """Receive the jobs of a launch, by node id."""


class QuietListener:
    """The listener of a script: it shows nothing, and stops after Ctrl-C.

    Args:
        hooks: The hooks that are told of jobs, and asked how runs continue.

    """

    def __init__(self, hooks: GuardedHooks) -> None:
        self._hooks = hooks
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

    def continuation(self, ended: EndedEarly, experiment: Experiment) -> Continuation:
        """Ask the hooks."""
        return continuation_of(self._hooks.relay, ended, experiment)

    def submitted(self, launch: str, jobs: Mapping[str, str]) -> None:
        """Inform the hooks."""
        self._hooks.call("pytest_remex_submitted", launch=launch, jobs=jobs)
