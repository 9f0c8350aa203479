"""The experiments of a submit: what is decided about each, and which wait for a batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_remex.errors import RecordError, SweepError
from pytest_remex.hookspecs import ContinueProbe
from pytest_remex.launch.candidate import Candidate, FailedProbe, Outcome, State, moved_bases
from pytest_remex.launch.decision import Decision, decide, recorded_job
from pytest_remex.launch.launcher import Launcher
from pytest_remex.launch.options import LaunchOptions
from pytest_remex.launch.recognition import experiment_key
from pytest_remex.launch.submissions import array_advice
from pytest_remex.repo.workspace import Prepared, Workspaces


class ExperimentQueue:
    """The experiments of a submit, in the order in which they were added.

    Args:
        launcher: Finds their runs in the launch records.
        workspaces: Their workspaces, which forget the commits that nobody needs.
        options: The user's choices.
    """

    def __init__(self, launcher: Launcher, workspaces: Workspaces, options: LaunchOptions) -> None:
        self._launcher = launcher
        self._known = launcher.known
        self._workspaces = workspaces
        self._options = options
        self._all: list[Candidate] = []
        self._by_key: dict[object, Candidate] = {}
        self._by_inputs: dict[object, Candidate] = {}
        self._sharing: list[tuple[Candidate, Candidate]] = []
        self.waiting: list[Candidate] = []
        """Those that wait for a batch, without those that share the run of another one."""

    def __len__(self) -> int:
        """Return how many experiments were added."""
        return len(self._all)

    def add(
        self,
        prepared: Prepared,
        probe: ContinueProbe | FailedProbe | None = None,
        recipes: Mapping[int, Prepared] | None = None,
    ) -> Candidate:
        """Add an experiment that was patched and committed.

        Args:
            prepared: The experiment.
            probe: What extensions want to list for its run, if that was ended early.
            recipes: The experiment prepared for a retry, by recipe number.

        Returns:
            The experiment, which is WAITING or ALREADY submitted.

        Raises:
            RecordError: A launch record cannot be written.
            SweepError: The experiment that it comes after was not added.
        """
        candidate = self._decided(prepared, probe, recipes or {})
        self._all.append(candidate)
        # two variants of the grid may have the same experiment
        first = self._by_inputs.setdefault(experiment_key(candidate.prepared), candidate)
        self._by_key[prepared.key] = first
        if outcome := Outcome.unsent(candidate.known, candidate.decision):
            candidate.outcome = outcome
            self._workspaces.forget(candidate.prepared)
        elif first is not candidate:
            self._sharing.append((candidate, first))
        else:
            self._follow_up(candidate)
            self.waiting.append(candidate)
        return candidate

    def _decided(
        self,
        prepared: Prepared,
        probe: ContinueProbe | FailedProbe | None,
        recipes: Mapping[int, Prepared],
    ) -> Candidate:
        """Return an experiment with what is known of it and what is decided; see `add`."""
        run = self._launcher.find(prepared)
        known = self._known.about(prepared, run, self._options.resubmit)
        prepared = known.shared_with(prepared)
        upstream = self._by_key.get(prepared.upstream.key) if prepared.upstream else None
        if prepared.upstream is not None and upstream is None:
            raise SweepError(f"{prepared.upstream.node}, which it comes after, failed")
        options = self._options.of_experiment(chosen=prepared.chosen)
        decision = decide(known, options, recorded_job(known.decisive_run))
        if decision is Decision.ALREADY and upstream and upstream.may_be_resent:
            decision = Decision.ASK
        made = {0: prepared, **recipes} if recipes else {}
        return Candidate(prepared, known, decision, "", upstream, made, probe)

    def put_first(self, candidates: Iterable[Candidate]) -> None:
        """Let those that are WAITING again be sent before the others."""
        self.waiting = [*still_waiting(candidates), *self.waiting]

    def drop_settled(self) -> None:
        """Drop those that were sent, or have an outcome."""
        self.waiting = still_waiting(self.waiting)

    def settle_sharing(self) -> None:
        """Set the outcomes of experiments whose shared run has an outcome now."""
        sharing, self._sharing = self._sharing, []
        for candidate, first in sharing:
            outcome = first.outcome
            if outcome.state in {State.WAITING, State.SENDING}:
                self._sharing.append((candidate, first))
                continue
            candidate.outcome = outcome
            if outcome.state is State.SUBMITTED:
                try:
                    self._launcher.share(first, candidate.prepared.variant)
                    candidate.outcome = Outcome(State.ALREADY, outcome.job, outcome.launch)
                except RecordError as error:
                    candidate.outcome = outcome._replace(state=State.UNKNOWN, why=str(error))

    @property
    def launches(self) -> list[str]:
        """The launches that experiments were submitted in."""
        outcomes = (each.outcome for each in self._all)
        return list(dict.fromkeys(e.launch for e in outcomes if e.state is State.SUBMITTED))

    def count(self, state: State) -> int:
        """Return how many experiments are in a state."""
        return sum(each.outcome.state is state for each in self._all)

    def moved(self) -> list[str]:
        """Return messages on the experiments whose points have runs on other bases."""
        return moved_bases(self._all)

    def array_advice(self) -> str:
        """Return the advice for jobs that could be an array."""
        headers = (each.prepared.header for each in self._sent_to_slurm())
        return array_advice(headers, self._options.grouping)

    def held(self) -> int:
        """Return how many experiments were submitted whose script wants its job to stay held."""
        return sum(each.prepared.header.held for each in self._sent_to_slurm())

    def _sent_to_slurm(self) -> list[Candidate]:
        sent = (each for each in self._all if each.outcome.state is State.SUBMITTED)
        return [each for each in sent if each.remote.host is not None]

    def left(self, state: State) -> int:
        """Return how many experiments stay in a state without being reported one by one."""
        return sum(each.outcome.state is state and not each.settled for each in self._all)

    def _follow_up(self, candidate: Candidate) -> None:
        """Set which run is resumed, or which one the experiment's next run follows."""
        if candidate.decision is Decision.FINISH:
            candidate.resumed = candidate.known.run
        elif candidate.decision is Decision.RETRY and candidate.known.is_useless:
            candidate.make_by(candidate.known.recipe_after(None))
        recognizer = self._known.recognizer
        if candidate.resumed is None:
            candidate.previous = recognizer.newest(candidate.prepared)
        else:
            candidate.previous = recognizer.failed_before(candidate.resumed, candidate.prepared)


def still_waiting(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return those experiments that are WAITING."""
    return [each for each in candidates if each.outcome.state is State.WAITING]
