"""Decides how an experiment is sent again: by which recipe, and whether in its run directory."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import replace

from pytest_remex.errors import SweepError
from pytest_remex.hookspecs import Continuation
from pytest_remex.launch.decision import Retries
from pytest_remex.launch.launcher import Launcher
from pytest_remex.launch.listener import Listener
from pytest_remex.launch.outcomes import Candidate, Outcome, State
from pytest_remex.launch.session import SubmitRequest


class SendingAgain:
    """Decides how runs are retried; `continuations` counts how runs that ended early continue.

    Args:
        launcher: Notes which runs are continued.
        listener: Knows how a run continues.

    """

    def __init__(self, launcher: Launcher, listener: Listener) -> None:
        self._launcher = launcher
        self._listener = listener
        self.continuations: Counter[Continuation] = Counter()

    def decide(self, candidate: Candidate, retries: Retries) -> bool:
        """Decide how a run is retried; return False if the hook that should decide raised."""
        request = candidate.request
        if request.retried:
            request = request.made_by(retries.recipe(candidate.known))
            if candidate.upstream_goes_again:
                candidate.request = request
                return True
            try:
                candidate.request = self._continued(request, retries)
            except SweepError as error:
                why = f"{error}; it was not started from scratch: correct the hook and submit again"
                candidate.outcome = Outcome(State.NOT_SUBMITTED, why=why)
                return False
        return True

    def _continued(self, request: SubmitRequest, retries: Retries) -> SubmitRequest:
        """Return a request to continue in the run directory, if the run ended early and can."""
        ended = retries.ended_early(request.retried) if request.retried else None
        if request.retried is None or ended is None or request.on_new_base:
            return request
        how = self._listener.continuation(ended, request.prepared.experiment)
        self.continuations[how] += 1
        if not how.command:
            return request
        words = shlex.join(how.command)
        resumed = self._launcher.prepare_continuation(request.retried, words, request.prepared)
        return replace(request, resumed=resumed)
