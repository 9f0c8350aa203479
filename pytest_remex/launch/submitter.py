"""Hold the state of each experiment of a submit, and decide when to send a batch.

    add --+--> OTHER BASE                    its point has a run on another base
          +--> WAITING --+--> SENDING --+--> SUBMITTED      its job was released
          |              |              +--> NOT SUBMITTED  refused, rejected, or a fault came up
          |              |              +--> UNKNOWN        it may have a job: the link broke, or
          |              |              |                   Ctrl-C came twice
          |              |              '--> WAITING        the batch failed before its sbatch
          |              +--> ALREADY        its last job needs no retry
          |              '--> NOT SUBMITTED  an error: reported with the first of the batch
          '--> ALREADY                       it has a run

One batch at a time is SENDING, in another thread, while the next one is prepared and WAITING. After
a fault nothing more is sent; what is WAITING or UNKNOWN is left to the next command, which finds in
the launch record how far each run got (`pipeline` has a diagram of the stages).
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import replace

from pytest_remex.display import one_line, show_nothing
from pytest_remex.errors import RecordError, RemexError, SweepError
from pytest_remex.hookspecs import Continuation, ContinueProbe
from pytest_remex.launch.background import BackgroundBatch, Listener, deferred_interrupts
from pytest_remex.launch.candidate import Candidate, Outcome, State, moved_bases
from pytest_remex.launch.claims import follow
from pytest_remex.launch.continuation import FailedProbe
from pytest_remex.launch.decision import Decision, decide, recorded_job
from pytest_remex.launch.doctor import Fitness
from pytest_remex.launch.launcher import Launcher
from pytest_remex.launch.options import Folders, GroupingKind, LaunchOptions
from pytest_remex.launch.recognition import experiment_key
from pytest_remex.launch.retry import Retries
from pytest_remex.launch.submissions import Cost, array_advice
from pytest_remex.launch.upstreams import find_dependencies, run_of
from pytest_remex.model import Remote
from pytest_remex.repo.identity import Footprint
from pytest_remex.repo.workspace import Prepared, Workspaces
from pytest_remex.transport import Connections

LEAST = 100
"""Experiments that are worth a batch of their own while no other one is being sent."""
BATCH = 500
"""The most in a batch: they share round trips, and a crash or Ctrl-C concerns only one batch."""
GROUPED = 1000
"""Experiments in a batch of grouped runs: no array or pack is larger."""
PATIENCE = 5.0
"""Seconds to wait for a running batch after its connection was closed."""


class Submitter:
    """Submit experiments in batches, each experiment once.

    Args:
        workspaces: The workspaces of the experiments; `close` closes them.
        connections: The connections to remotes; `close` closes them.
        folders: The folders of launch records and fetched outputs.
        options: The user's choices.
        listener: Shows progress, may stop, and has the hooks.

    Raises:
        RecordError: Another command is submitting from the same output folder.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        connections: Connections,
        folders: Folders,
        options: LaunchOptions,
        listener: Listener,
    ) -> None:
        self._workspaces = workspaces
        self._connections = connections
        self._folders = folders
        self._options = options
        self._listener = listener
        self._fitness = Fitness(connections.to, options.grouping)
        self._expected = 0
        self.launcher = Launcher(folders, workspaces, connections.to, options)
        self.known = self.launcher.known
        self._candidates: list[Candidate] = []
        self._by_key: dict[object, Candidate] = {}
        self._by_inputs: dict[object, Candidate] = {}
        self._sharing: list[tuple[Candidate, Candidate]] = []
        self._waiting: list[Candidate] = []
        self._sending: list[Candidate] = []
        self._batch: BackgroundBatch | None = None
        self._interrupts: Sequence[int] = ()
        self._while_sending = ExitStack()
        single = options.grouping.kind is GroupingKind.SINGLE
        self._sizes = (min(LEAST, BATCH), BATCH) if single else (GROUPED, GROUPED)
        self.fault: Exception | None = None
        """The error after which nothing more was sent."""
        self.cost = Cost(0, 0.0, 0, Footprint(0, 0))
        """The cost of what was submitted."""
        self.continuations: Counter[Continuation] = Counter()
        """How runs that ended early continue, with the numbers of runs."""

    def expect(self, count: int) -> None:
        """Set how many experiments may come: above the limit, none is sent before all are known."""
        self._expected = count
        if self._options.confirm is not None and count > self._options.confirm:
            self._sizes = count, count

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
        run = self.launcher.find(prepared)
        known = self.known.about(prepared, run, self._options.resubmit)
        prepared = known.shared_with(prepared)
        upstream = self._by_key.get(prepared.upstream.key) if prepared.upstream else None
        if prepared.upstream is not None and upstream is None:
            raise SweepError(f"{prepared.upstream.node}, which it comes after, failed")
        options = self._options.of_experiment(chosen=prepared.chosen)
        decision = decide(known, options, recorded_job(known.decisive_run))
        if decision is Decision.ALREADY and upstream and upstream.may_be_resent:
            decision = Decision.ASK
        made = {0: prepared, **recipes} if recipes else {}
        candidate = Candidate(prepared, known, decision, "", upstream, made, probe)
        self._candidates.append(candidate)
        # two variants of the grid may have the same experiment
        first = self._by_inputs.setdefault(experiment_key(prepared), candidate)
        self._by_key[prepared.key] = first
        if outcome := Outcome.unsent(known, decision):
            candidate.outcome = outcome
            self._workspaces.forget(prepared)
        elif first is not candidate:
            self._sharing.append((candidate, first))
        else:
            self._follow_up(candidate)
            self._waiting.append(candidate)
        return candidate

    def _follow_up(self, candidate: Candidate) -> None:
        """Set which run is resumed, or which one the experiment's next run follows."""
        if candidate.decision is Decision.FINISH:
            candidate.resumed = candidate.known.run
        elif candidate.decision is Decision.RETRY and candidate.known.is_useless:
            candidate.make_by(candidate.known.recipe_after(None))
        if candidate.resumed is None:
            candidate.previous = self.known.newest(candidate.prepared)
        else:
            recognizer = self.known.recognizer
            candidate.previous = recognizer.failed_before(candidate.resumed, candidate.prepared)

    def moved(self) -> list[str]:
        """Return messages on the experiments whose points have runs on other bases."""
        return moved_bases(self._candidates)

    def advance(self, *, last: bool) -> None:
        """Send waiting experiments once they fill a batch; with `last`, send them now and wait.

        Raises KeyboardInterrupt after a second Ctrl-C; the batch continues.
        """
        is_sending = self._batch is not None and self._batch.running
        if last or len(self._waiting) >= self._sizes[is_sending]:
            may_continue = self.wait()
            while may_continue and self._waiting and self.fault is None:
                self._start(last=last)
                if not last:
                    return
                may_continue = self.wait()

    def wait(self) -> bool:
        """Wait for the running batch to end; return whether to send more.

        Raises KeyboardInterrupt after a second Ctrl-C; the batch continues.
        """
        if self._batch is not None:
            self._receive(self._batch)
        self._settle_sharing()
        return self._listener.may_continue()

    def _settle_sharing(self) -> None:
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
                    self.launcher.share(first, candidate.prepared.variant)
                    candidate.outcome = Outcome(State.ALREADY, outcome.job, outcome.launch)
                except RecordError as error:
                    candidate.outcome = replace(outcome, state=State.UNKNOWN, why=str(error))

    def close(self) -> list[str]:
        """Finish the launches, and close everything; a batch that is still running is abandoned.

        Returns:
            The cluster's warnings, and what could not be cleaned up.
        """
        self._while_sending.close()
        if self._batch is not None:
            self._abandon(self._batch)
        notes = self.launcher.notes
        warnings = [*self._fitness.notes, *self.launcher.close(ask=self.fault is None)]
        if self._options.note and one_line(self._options.note) not in notes:
            warnings.append(
                "the note was not stored: no launch was begun, and a resumed one keeps its own"
            )
        self._connections.close()
        try:
            self._workspaces.close()
        except RemexError as error:
            warnings.append(str(error))
        return warnings

    @property
    def launches(self) -> list[str]:
        """The launches that experiments were submitted in."""
        submitted = [each.outcome for each in self._candidates if each.outcome.job]
        return list(dict.fromkeys(e.launch for e in submitted if e.state is State.SUBMITTED))

    def count(self, state: State) -> int:
        """Return how many experiments are in a state."""
        return sum(each.outcome.state is state for each in self._candidates)

    def array_advice(self) -> str:
        """Return the advice for jobs that could be an array."""
        sent = [each for each in self._candidates if each.outcome.state is State.SUBMITTED]
        there = [each for each in sent if each.remote.host is not None]
        return array_advice((each.prepared.header for each in there), self._options.grouping)

    def left(self, state: State) -> int:
        """Return how many experiments stay in a state without being reported one by one."""
        return sum(each.outcome.state is state and not each.settled for each in self._candidates)

    def _start(self, *, last: bool) -> None:
        with ExitStack() as stack:
            deferred = deferred_interrupts(self._listener.interrupted)
            self._interrupts = stack.enter_context(deferred)
            try:
                retries = self._retries()
                retries.settle(self._options)
                self._waiting = _still_waiting(self._waiting)
                if not self._waiting or not self._fits(self._waiting, last=last):
                    return
                _cost(self._waiting).refuse_above(self._options.confirm)
                sending = self._ready()
                if not sending:
                    return
                sending = [each for each in sending if self._prepare_retry(each, retries)]
                send = self.launcher.commit(sending)
            except Exception as error:  # noqa: BLE001 - a fault that nobody reports would look like success
                self._fail(self._waiting.pop(0), error)
                self._listener.may_continue()
                return
            self.cost += _cost(sending)
            for each in sending:
                each.outcome = Outcome(State.SENDING)
            self._sending = sending
            self._waiting = _still_waiting(self._waiting)
            self._batch = BackgroundBatch(send)
            self._while_sending = stack.pop_all()

    def _ready(self) -> list[Candidate]:
        """Return those that can be sent now: what they come after, if anything, is settled."""
        ready = [each for each in self._waiting if each.is_ready]
        upstreams = {id(each.upstream): each.upstream for each in ready if each.upstream}
        runs = {key: run for key, each in upstreams.items() if (run := run_of(each, self.launcher))}
        find_dependencies(ready, runs, self._connections.to)
        self._waiting = _still_waiting(self._waiting)
        return _still_waiting(ready)

    def _fits(self, sending: Sequence[Candidate], *, last: bool) -> bool:
        """Return whether to send now: near a remote's limits, only once everything is known."""
        footprints: dict[Remote, list[Footprint]] = {}
        for each in sending:
            if each.resumed is None:
                footprints.setdefault(each.remote, []).append(each.prepared.footprint)
        unseen = 0 if last else max(0, self._expected - len(self._candidates))
        fits = self._fitness.refuse_unfit(footprints, unseen)
        if not fits:
            self._sizes = self._expected, self._expected
        return fits

    def _retries(self) -> Retries:
        has_any = any(each.retried for each in self._waiting)
        with self._listener.progress() if has_any else nullcontext(show_nothing) as progress:
            to, folder, how = self._connections.to, self._folders.runs, self._options.resubmit
            return Retries(self._waiting, to, folder, progress, certain=how.is_certain)

    def _prepare_retry(self, candidate: Candidate, retries: Retries) -> bool:
        """Prepare a retry; return False if the hook that decides how it continues raised."""
        try:
            how = retries.prepare(candidate, self.launcher, self._listener.hooks.relay)
        except SweepError as error:
            why = f"{error}; it was not started from scratch: correct the hook and submit again"
            candidate.outcome = Outcome(State.NOT_SUBMITTED, why=why)
            return False
        self.continuations.update([how] if how else [])
        return True

    def _receive(self, batch: BackgroundBatch) -> None:
        if len(self._interrupts) > 1:
            raise KeyboardInterrupt
        try:
            with self._while_sending, self._listener.progress() as progress:
                runs = batch.result(progress)
        except Exception as error:  # noqa: BLE001 - as in `_start`
            self._lose(error)
            return
        sent, self._sending, self._batch = self._sending, [], None
        for candidate, run in zip(sent, runs, strict=True):
            candidate.outcome = Outcome.of_run(run, self.launcher.launch_of(candidate))
        self._tell(sent)
        try:
            self._yield_to_others(sent)
        except RemexError as error:
            self._fail(sent[0], error)

    def _yield_to_others(self, sent: Sequence[Candidate]) -> None:
        """Respect earlier claims of other clients; continue what they have not finished."""
        taken = [(each, claim) for each in sent if (claim := self.launcher.taken(each))]
        if not taken:
            return
        self.known.read_again(each.remote for each, _ in taken)
        for each, claim in taken:
            if follow(each, claim, self.launcher.claimed_run(each, claim)):
                self._waiting.append(each)

    def _lose(self, error: Exception) -> None:
        """Sort the experiments of a failed batch: some may have jobs, the others wait again."""
        sent, self._sending, self._batch = self._sending, [], None
        for each in sent:
            may_have_job = self.launcher.may_have_job(each)
            each.outcome = Outcome(State.UNKNOWN if may_have_job else State.WAITING)
        unsent = [each for each in sent if each.outcome.state is State.WAITING]
        self._waiting = [*unsent, *self._waiting]
        if sent:
            self._fail(sent[0], error)

    def _fail(self, candidate: Candidate, error: Exception) -> None:
        """Report the reason with one experiment only; the others are left to the next command."""
        self.fault = error
        plain = isinstance(error, RemexError | OSError)
        why = str(error) if plain else "".join(traceback.format_exception(error))
        unknown = candidate.outcome.state is State.UNKNOWN
        candidate.outcome = Outcome(State.UNKNOWN if unknown else State.NOT_SUBMITTED, why=why)
        self._waiting = [each for each in self._waiting if each is not candidate]

    def _abandon(self, batch: BackgroundBatch) -> None:
        if batch.running:
            self._connections.close()
            batch.abandon(PATIENCE)
        for candidate in self._sending:
            candidate.outcome = Outcome(State.UNKNOWN)
        self._sending, self._batch = [], None

    def _tell(self, sent: Sequence[Candidate]) -> None:
        jobs: dict[str, dict[str, str]] = {}
        for each in sent:
            if each.outcome.state is State.SUBMITTED:
                node = each.prepared.node
                jobs.setdefault(each.outcome.launch, {})[node] = each.outcome.job
        for launch, submitted in jobs.items():
            self._listener.hooks.call("pytest_remex_submitted", launch=launch, jobs=submitted)


def _still_waiting(candidates: Iterable[Candidate]) -> list[Candidate]:
    return [each for each in candidates if each.outcome.state is State.WAITING]


def _cost(candidates: Iterable[Candidate]) -> Cost:
    return Cost.of((each.prepared.header, each.prepared.footprint) for each in candidates)
