"""Who uses a `Submitter`, and is told how far it is: pytest, or a script."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from pytest_remex.hookspecs import Continuation
from pytest_remex.interaction import Progress
from pytest_remex.launch.continuation import EndedEarly
from pytest_remex.model import Experiment


class Listener(Protocol):
    """Who uses a `Submitter`: pytest, or a script."""

    def progress(self) -> AbstractContextManager[Progress]:
        """Show how far a phase is."""

    def interrupted(self) -> None:
        """Learn of Ctrl-C while a batch is under way: no other should be sent."""

    def goes_on(self) -> bool:
        """Learn that outcomes have changed; return whether more is to be sent."""

    def continuation(self, ended: EndedEarly, experiment: Experiment) -> Continuation:
        """Return how a run goes on whose job was ended early."""

    def submitted(self, launch: str, jobs: Mapping[str, str]) -> None:
        """Learn of the jobs of a launch, by node id."""
