"""The user of a `Submitter`, which receives its progress and outcomes: pytest, or a script."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from pytest_remex.hookspecs import Continuation
from pytest_remex.interaction import Progress
from pytest_remex.launch.continuation import EndedEarly
from pytest_remex.model import Experiment


class Listener(Protocol):
    """The user of a `Submitter`: pytest, or a script."""

    def progress(self) -> AbstractContextManager[Progress]:
        """Show the progress of a phase."""

    def interrupted(self) -> None:
        """Handle Ctrl-C while a batch is being sent: no other should be sent."""

    def goes_on(self) -> bool:
        """Handle changed outcomes; return whether to send more."""

    def continuation(self, ended: EndedEarly, experiment: Experiment) -> Continuation:
        """Return how to continue a run whose job was ended early."""

    def submitted(self, launch: str, jobs: Mapping[str, str]) -> None:
        """Receive the jobs of a launch, by node id."""
