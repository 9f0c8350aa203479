"""Experiments that share a run: one command may have the same of two variants of the grid."""

from __future__ import annotations

from pytest_remex.errors import RecordError
from pytest_remex.launch.candidate import Candidate, Outcome, State
from pytest_remex.launch.launcher import Launcher
from pytest_remex.launch.recognition import experiment_key

_NOT_SENT = frozenset({State.WAITING, State.SENDING})


class SharedRuns:
    """Find experiments of one command that are the same, and have them share a run.

    Args:
        launcher: Records which variants share a run.

    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._first: dict[object, Candidate] = {}
        self._sharing: list[tuple[Candidate, Candidate]] = []

    def first(self, candidate: Candidate) -> Candidate:
        """Return the first experiment with a candidate's inputs, which may be itself."""
        key = experiment_key(candidate.prepared, candidate.remote)
        return self._first.setdefault(key, candidate)

    def share(self, candidate: Candidate, first: Candidate) -> Candidate:
        """Have a candidate share the run that another one gets, and return it."""
        self._sharing.append((candidate, first))
        return candidate

    def settle(self) -> None:
        """Set the outcomes of experiments whose shared run has an outcome now."""
        unsettled = []
        for candidate, first in self._sharing:
            outcome = first.outcome
            if outcome.state in _NOT_SENT:
                unsettled.append((candidate, first))
                continue
            candidate.outcome = outcome
            if outcome.state is State.SUBMITTED:
                candidate.outcome = self._shared(candidate, outcome, first)
        self._sharing = unsettled

    def _shared(self, candidate: Candidate, outcome: Outcome, first: Candidate) -> Outcome:
        try:
            self._launcher.share(first, candidate.prepared.variant)
        except RecordError as error:
            return Outcome(State.UNKNOWN, outcome.job, outcome.launch, str(error))
        return Outcome(State.ALREADY, outcome.job, outcome.launch)
