"""Experiments of one command that are one and the same, of two variants of the grid."""

from __future__ import annotations

from pytest_remex.errors import RecordError
from pytest_remex.launch.launcher import Launcher
from pytest_remex.launch.outcomes import Candidate, Outcome, State
from pytest_remex.model import Remote
from pytest_remex.repo.workspace import Prepared

_ON_ITS_WAY = frozenset({State.WAITING, State.SENDING})


class SameExperiments:
    """Finds experiments that the command has already, whose run they share.

    Args:
        launcher: Notes who shares a run.

    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._first: dict[object, Candidate] = {}
        self._sharing: list[tuple[Candidate, Candidate]] = []

    def first(self, candidate: Candidate) -> Candidate:
        """Return the first experiment with a candidate's inputs, which may be itself."""
        key = key_of(candidate.request.prepared, candidate.request.remote)
        return self._first.setdefault(key, candidate)

    def share(self, candidate: Candidate, first: Candidate) -> Candidate:
        """Have a candidate share the run that another one gets, and return it."""
        self._sharing.append((candidate, first))
        return candidate

    def settle(self) -> None:
        """Set the outcomes of those whose run was sent, or was not."""
        left = []
        for candidate, first in self._sharing:
            outcome = first.outcome
            if outcome.state in _ON_ITS_WAY:
                left.append((candidate, first))
                continue
            candidate.outcome = outcome
            if outcome.state is State.SUBMITTED:
                candidate.outcome = self._shared(candidate, outcome, first)
        self._sharing = left

    def _shared(self, candidate: Candidate, outcome: Outcome, first: Candidate) -> Outcome:
        try:
            self._launcher.share(first.request, candidate.request.prepared.variant)
        except RecordError as error:
            return Outcome(State.UNKNOWN, outcome.job, outcome.launch, str(error))
        return Outcome(State.ALREADY, outcome.job, outcome.launch)


def key_of(prepared: Prepared, remote: Remote) -> object:
    """Return what is equal for experiments that are the same."""
    identity, sweep = prepared.identity, prepared.experiment.sweep.name
    return sweep, identity.fingerprint, identity.replicate, remote
