"""Send the experiments of a submit in batches.

The state of an experiment, and what changes it:

    added    -> WAITING           it needs a job                        `ExperimentQueue.add`
             -> ALREADY, OTHER_BASE, UNJUDGED, UNKNOWN   it has a run   `Outcome.unsent`
    WAITING  -> SENDING           its batch is sent                     `Submitter`
             -> ALREADY, OTHER_BASE, UNJUDGED   no retry is needed      `Retries.settle`
             -> UPSTREAM_FAILED, NOT_SUBMITTED   for its upstream       `find_dependencies`
             -> NOT_SUBMITTED     an error, reported with one of them   `Submitter`
             -> the outcome of another one, whose run it shares         `ExperimentQueue`
    SENDING  -> SUBMITTED         its job was released                  `Outcome.of_run`
             -> NOT_SUBMITTED     it was refused or rejected            `Outcome.of_run`
             -> ALREADY, UNKNOWN, WAITING   another client was faster   `claims.follow`
             -> UNKNOWN           it may have a job: the link broke, or Ctrl-C came twice
             -> WAITING           the batch failed before its sbatch

One batch at a time is SENDING, in another thread, while the next one is prepared and WAITING. After
a fault nothing more is sent; what is WAITING or UNKNOWN is left to the next command, which finds in
the launch record how far each run got (`pipeline` has a diagram of the stages).
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pytest_remex.background import BackgroundCall
from pytest_remex.common.grouping import grouped
from pytest_remex.display import Progress, one_line, show_nothing
from pytest_remex.errors import RemexError, SweepError
from pytest_remex.hookspecs import Continuation
from pytest_remex.launch.candidate import Candidate, Outcome, State
from pytest_remex.launch.claims import follow
from pytest_remex.launch.doctor import Fitness
from pytest_remex.launch.launcher import Launcher
from pytest_remex.launch.listener import Listener, deferred_interrupts
from pytest_remex.launch.options import Folders, GroupingKind, LaunchOptions
from pytest_remex.launch.queue import ExperimentQueue, still_waiting
from pytest_remex.launch.retry import Retries
from pytest_remex.launch.submissions import Cost, cost_of
from pytest_remex.launch.upstreams import find_dependencies
from pytest_remex.records.schema import RunRecord
from pytest_remex.repo.identity import Footprint
from pytest_remex.repo.workspace import Workspaces

if TYPE_CHECKING:
    from pytest_remex.transport.connections import Connections

Step: TypeAlias = tuple[str, int, int, str]
"""What `Progress` shows of a batch."""
LEAST = 100
"""Experiments that are worth a batch of their own while no other one is being sent."""
BATCH = 500
"""The most in a batch: they share round trips, and a crash or Ctrl-C concerns only one batch."""
GROUPED = 1000
"""Experiments in a batch of grouped runs: no array or pack is larger."""
PATIENCE = 5.0
"""Seconds to wait for a running batch after its connection was closed."""


@dataclass(frozen=True, slots=True)
class BackgroundBatch:
    """Experiments that are being sent in another thread; Ctrl-C is deferred meanwhile."""

    candidates: Sequence[Candidate]
    call: BackgroundCall[Step, list[RunRecord]]
    interrupts: Sequence[int]
    """The signals received since it was begun."""
    deferral: ExitStack

    @classmethod
    def send(
        cls,
        candidates: Sequence[Candidate],
        function: Callable[[Progress], list[RunRecord]],
        interrupts: Sequence[int],
        deferral: ExitStack,
    ) -> BackgroundBatch:
        """Call a function that sends the experiments; the thread that waits shows its progress."""

        def run(show: Callable[[Step], None]) -> list[RunRecord]:
            def progress(phase: str, done: int, total: int, detail: str = "") -> None:
                show((phase, done, total, detail))

            return function(progress)

        call = BackgroundCall(run, "remex-batch")
        return cls(candidates, call, interrupts, deferral)


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
        self.queue = ExperimentQueue(self.launcher, workspaces, options)
        self._batch: BackgroundBatch | None = None
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

    def advance(self, *, last: bool) -> None:
        """Send waiting experiments once they fill a batch; with `last`, send them now and wait.

        Raises KeyboardInterrupt after a second Ctrl-C; the batch continues.
        """
        is_sending = self._batch is not None and self._batch.call.running
        if last or len(self.queue.waiting) >= self._sizes[is_sending]:
            may_continue = self.wait()
            while may_continue and self.queue.waiting and self.fault is None:
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
        self.queue.settle_sharing()
        return self._listener.may_continue()

    def close(self) -> list[str]:
        """Finish the launches, and close everything; a batch that is still running is abandoned.

        Returns:
            The cluster's warnings, and what could not be cleaned up.
        """
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

    def _start(self, *, last: bool) -> None:
        """Send those that can be sent now, if that is a batch."""
        with ExitStack() as stack:
            interrupts = stack.enter_context(deferred_interrupts(self._listener.interrupted))
            try:
                sending = self._ready(last=last)
                if not sending:
                    return
                send = self.launcher.commit(sending)
            except Exception as error:  # noqa: BLE001 - a fault that nobody reports would look like success
                self.queue.drop_settled()
                self._fail(self.queue.waiting[0], error)
                self._listener.may_continue()
                return
            self.cost += cost_of(sending)
            for each in sending:
                each.outcome = Outcome(State.SENDING)
            self.queue.drop_settled()
            self._batch = BackgroundBatch.send(sending, send, interrupts, stack.pop_all())

    def _ready(self, *, last: bool) -> list[Candidate]:
        """Return those to send now; none if it is better to wait, or if none needs to be sent."""
        retries = self._retries()
        retries.settle(self._options)
        self.queue.drop_settled()
        waiting = self.queue.waiting
        if not waiting or not self._fits(waiting, last=last):
            return []
        cost_of(waiting).refuse_above(self._options.confirm)
        ready = [each for each in waiting if each.is_ready]
        upstreams = {id(each.upstream): each.upstream for each in ready if each.upstream}
        run_of = self.launcher.run_of
        runs = {key: run for key, each in upstreams.items() if (run := run_of(each))}
        find_dependencies(ready, runs, self._connections.to)
        sending = [each for each in still_waiting(ready) if self._prepare_retry(each, retries)]
        self.queue.drop_settled()
        return sending

    def _fits(self, sending: Sequence[Candidate], *, last: bool) -> bool:
        """Return whether to send now: near a remote's limits, only once everything is known."""
        footprints = grouped(
            (each.remote, each.prepared.footprint) for each in sending if each.resumed is None
        )
        unseen = 0 if last else max(0, self._expected - len(self.queue))
        fits = self._fitness.refuse_unfit(footprints, unseen)
        if not fits:
            self._sizes = self._expected, self._expected
        return fits

    def _retries(self) -> Retries:
        has_any = any(each.retried for each in self.queue.waiting)
        with self._listener.progress() if has_any else nullcontext(show_nothing) as progress:
            to, folder, how = self._connections.to, self._folders.runs, self._options.resubmit
            return Retries(self.queue.waiting, to, folder, progress, certain=how.is_certain)

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
        """Wait for a batch, and set the outcomes of its experiments."""
        if len(batch.interrupts) > 1:
            raise KeyboardInterrupt
        try:
            with batch.deferral, self._listener.progress() as progress:
                runs = batch.call.result(lambda step: progress(*step))
        except Exception as error:  # noqa: BLE001 - as in `_start`
            self._batch = None
            self._lose(batch.candidates, error)
            return
        self._batch = None
        sent = batch.candidates
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
                self.queue.waiting.append(each)

    def _lose(self, sent: Sequence[Candidate], error: Exception) -> None:
        """Sort the experiments of a failed batch: some may have jobs, the others wait again."""
        for each in sent:
            may_have_job = self.launcher.may_have_job(each)
            each.outcome = Outcome(State.UNKNOWN if may_have_job else State.WAITING)
        self.queue.put_first(sent)
        self._fail(sent[0], error)

    def _fail(self, candidate: Candidate, error: Exception) -> None:
        """Report the reason with one experiment only; the others are left to the next command."""
        self.fault = error
        plain = isinstance(error, RemexError | OSError)
        why = str(error) if plain else "".join(traceback.format_exception(error))
        unknown = candidate.outcome.state is State.UNKNOWN
        candidate.outcome = Outcome(State.UNKNOWN if unknown else State.NOT_SUBMITTED, why=why)
        self.queue.drop_settled()

    def _abandon(self, batch: BackgroundBatch) -> None:
        batch.deferral.close()
        if batch.call.running:
            self._connections.close()
            batch.call.join(PATIENCE)
        for candidate in batch.candidates:
            candidate.outcome = Outcome(State.UNKNOWN)
        self._batch = None

    def _tell(self, sent: Sequence[Candidate]) -> None:
        jobs: dict[str, dict[str, str]] = {}
        for each in sent:
            if each.outcome.state is State.SUBMITTED:
                node = each.prepared.node
                jobs.setdefault(each.outcome.launch, {})[node] = each.outcome.job
        for launch, submitted in jobs.items():
            self._listener.hooks.call("pytest_remex_submitted", launch=launch, jobs=submitted)
