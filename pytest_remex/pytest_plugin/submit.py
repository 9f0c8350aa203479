"""The mode submit: pass pytest's items to a `Submitter`, and turn its outcomes into reports.

An item's report is held back until its batch has been sent, and then shows the experiment's
outcome. pytest's loop stays in control, so -x, --maxfail, --lf and --junitxml work as for tests;
each report is made at the usual point, so other plugins see the usual order.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from pytest_remex.display import Progress, counted
from pytest_remex.errors import RemexError
from pytest_remex.hooks import GuardedHooks
from pytest_remex.hookspecs import ContinueProbe
from pytest_remex.io import prepare_output_folder
from pytest_remex.launch.candidate import Candidate, FailedProbe, Outcome, State, unjudged_text
from pytest_remex.launch.preparation import recipes_for_retry
from pytest_remex.launch.retry import continuation_summary, probe_of
from pytest_remex.launch.submitter import Submitter
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.facts import note_facts, prepared_facts, properties_of
from pytest_remex.pytest_plugin.fixtures import places_of
from pytest_remex.pytest_plugin.item_outcomes import (
    fail,
    fail_report,
    failing_plainly,
    log_reports,
    say,
    set_word,
    skip,
    skip_report,
    stop,
)
from pytest_remex.pytest_plugin.items import experiments, is_experiment
from pytest_remex.pytest_plugin.mode import Mode, ModeContext, stopped_after
from pytest_remex.pytest_plugin.preparation import (
    ConfigChecks,
    Preparer,
    refuse_without_upstream,
)
from pytest_remex.pytest_plugin.replicates import AskedReplicates
from pytest_remex.repo.workspace import Prepared, Workspaces

CANDIDATE = pytest.StashKey[Candidate]()
NOT_SENT = frozenset({State.ALREADY, State.OTHER_BASE, State.UNJUDGED})
FAILED = frozenset({State.NOT_SUBMITTED, State.UNKNOWN, State.UPSTREAM_FAILED})


@dataclass(slots=True)
class HeldItem:
    """An item whose reports wait for its batch; they are None while it is being sent."""

    item: pytest.Function
    reports: list[pytest.TestReport] | None = None

    @property
    def ready(self) -> bool:
        """Whether its outcome is known; an item whose patch failed has no candidate."""
        candidate = self.item.stash.get(CANDIDATE, None)
        return self.reports is not None and (candidate is None or candidate.settled)

    @property
    def failed(self) -> bool:
        """Whether one of its reports is, or will be, a failure."""
        candidate = self.item.stash.get(CANDIDATE, None)
        state = candidate.outcome.state if candidate else None
        return state in FAILED or any(report.failed for report in self.reports or ())


class SubmitMode(Mode):
    """The mode submit, and the listener of its `Submitter`."""

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        super().__init__(context)
        settings = context.settings
        workspaces = Workspaces(kept=True)
        self._preparer = Preparer(context, workspaces)
        self.checkout = self._preparer.checkout
        self._checks = ConfigChecks(context)
        self._replicates = AskedReplicates(context.session, items, again=settings.launching.again)
        self.hooks = GuardedHooks(context.config.hook, self.terminal.note)
        prepare_output_folder(settings.output)
        self._runs_inside = False
        self._submitter = Submitter(
            workspaces, context.connections, context.folders, settings.launching, self
        )
        self._submitter.expect(len(items))
        self._held: deque[HeldItem] = deque()
        self._seconds_sending = 0.0

    def run(self, item: pytest.Function) -> None:
        """Run the patch, commit it, and add the item to the batch."""
        __tracebackhide__ = True
        repo, remote = places_of(item)
        self._read_records(repo, remote)
        self._add_replicates(item, remote)
        self.terminal.target(remote)
        prepared, probe = self._prepare(item)
        recipes = self._recipes(item, prepared)
        with failing_plainly():
            candidate = self._submitter.queue.add(prepared, probe, recipes)
        item.stash[CANDIDATE] = candidate
        note_facts(item, **prepared_facts(candidate.prepared))
        if candidate.outcome.state in NOT_SENT:
            say(item, _word(candidate.outcome))
            skip(_why_not_sent(candidate.outcome))
        self.context.connections.begin(remote)  # while the others are prepared

    def finish(self) -> None:
        """Wait for the batch that is being sent, and report what is left."""
        with suppress(KeyboardInterrupt):
            self._submitter.wait()
        self._report()

    def close(self) -> None:
        """Close everything, and set the exit code."""
        for warning in self._submitter.close():
            self.terminal.note(warning)
        if self._submitter.queue.left(State.WAITING) or self._submitter.queue.left(State.UNKNOWN):
            self.context.exit_with(pytest.ExitCode.TESTS_FAILED)

    def summarize(self) -> None:
        """Say what was submitted, what was not, and what to do next."""
        self._say_sent()
        self._say_left()
        is_fault = self._submitter.fault is not None
        stopped = "" if is_fault else stopped_after(self.submitted_count, self.session)
        self.terminal.say_next(stopped or self._next_command())

    @property
    def submitted_count(self) -> int:
        """How many experiments were submitted."""
        return self._submitter.queue.count(State.SUBMITTED)

    @property
    def _retries(self) -> bool:
        return self.settings.launching.resubmit.is_retry

    def _prepare(
        self, item: pytest.Function
    ) -> tuple[Prepared, ContinueProbe | FailedProbe | None]:
        """Prepare an experiment; a retry gets what extensions want to know of its last run."""
        __tracebackhide__ = True
        probes: list[ContinueProbe | FailedProbe] = []

        def check(prepared: Prepared, originals: Mapping[str, bytes]) -> None:
            # a recorded run was checked when it was recorded
            if not self._submitter.known.find(prepared):
                self._checks.check(prepared, originals)
            elif self._retries:
                probe = probe_of(self.context.config.hook, prepared.experiment)
                probes.extend([probe] if probe else [])

        prepared = self._preparer.prepare(item, check)
        refuse_without_upstream(prepared)
        return prepared, next(iter(probes), None)

    def _read_records(self, repo: Repo, remote: Remote) -> None:
        """Read the launch records in a remote's runs folder; if that fails, submit nothing."""
        __tracebackhide__ = True
        try:
            faults = self._submitter.known.read(repo, remote)
        except RemexError as error:
            stop(self.session, error)
            fail(f"not submitted: {error}")
        for fault in faults:
            self.terminal.note(fault)
        output = self.settings.output
        if remote.host is None and Path(remote.runs).is_relative_to(output):
            self._runs_inside = True

    def _add_replicates(self, item: pytest.Function, remote: Remote) -> None:
        """Add the replicates of a place that are not in a grid, the first time."""
        __tracebackhide__ = True
        session = self.session
        with failing_plainly(session):
            index, local = self._submitter.known.index, remote.host is None
            if self._replicates.add_items(item, index, local=local):
                self._submitter.expect(len(experiments(session.items)))
        self._replicates.skip_unknown(item)

    def _recipes(self, item: pytest.Function, prepared: Prepared) -> dict[int, Prepared]:
        """Return an experiment prepared for a retry: by its run's recipe, and by the next one."""
        last = self._submitter.known.recipe_of(prepared) if self._retries else None
        return {
            number: self._preparer.prepare_again(prepared, item, self._checks.check, number)
            for number in recipes_for_retry(prepared.experiment.sweep, last)
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Run an experiment's protocol, and hold back its reports."""
        if not isinstance(item, pytest.Function) or not is_experiment(item):
            return None
        held = HeldItem(item)
        self._held.append(held)
        self._seconds_sending = 0.0
        try:
            held.reports = runtestprotocol(item, log=False, nextitem=nextitem)
            # a batch is sent in the teardown of its last item, which should not count as its time
            held.reports[-1].duration -= self._seconds_sending
        finally:
            self._report()
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None]:
        """Send the batch; finish the last batch while its experiments' fixtures still exist."""
        if isinstance(item, pytest.Function) and is_experiment(item):
            begun = time.perf_counter()
            try:
                self._submitter.advance(last=self._is_last(item, nextitem))
            finally:
                self._seconds_sending = time.perf_counter() - begun
        return (yield)

    def progress(self) -> AbstractContextManager[Progress]:
        """See `Listener`."""
        return self.terminal.progress()

    def interrupted(self) -> None:
        """See `Listener`: pytest stops after this item."""
        self.terminal.announce(
            "remex: finishing the batch in flight, then stopping; Ctrl-C again stops at once"
        )
        self.session.shouldstop = "remex: Ctrl-C"

    def may_continue(self) -> bool:
        """See `Listener`: report a failure, after which pytest may want to stop.

        What did not fail is reported later, while the next batch is being sent.
        """
        if self._submitter.fault is not None:
            stop(self.session, self._submitter.fault)
        if any(held.failed for held in takewhile(lambda held: held.ready, self._held)):
            self._report()
        return not self._stops

    def _say_sent(self) -> None:
        submitter = self._submitter
        if submitted := self.submitted_count:
            what, launches = counted(submitted, "experiment"), ", ".join(submitter.queue.launches)
            self.terminal.say(f"{what} submitted in launch {launches}", green=True)
            self.terminal.say(f"asked for: {submitter.cost}")
            if advice := submitter.queue.array_advice():
                self.terminal.say(advice, yellow=True)
            if held := submitter.queue.held():
                what = f"{held} stay{'s' if held == 1 else ''} held, as #SBATCH --hold says"
                self.terminal.say(f"{what}: scontrol release starts jobs", yellow=True)
            if self._runs_inside:
                where = self.settings.output
                self.terminal.say(f"the runs are in {where}: deleting that deletes the runs")
        for how, count in submitter.continuations.items():
            self.terminal.say(continuation_summary(how, count), yellow=not how.command)
        if already := submitter.queue.count(State.ALREADY):
            self.terminal.say(f"{already} already submitted")
        if unjudged := submitter.queue.count(State.UNJUDGED):
            self.terminal.say(unjudged_text(unjudged), yellow=True)
        for message in submitter.queue.moved():
            self.terminal.say(message, yellow=True)

    def _say_left(self) -> None:
        submitter, again = self._submitter, "run the same command again"
        if waiting := submitter.queue.left(State.WAITING):
            what = f"{counted(waiting, 'experiment')} {'was' if waiting == 1 else 'were'}"
            self.terminal.say(f"{what} prepared and not submitted: {again}", red=True)
        if unknown := submitter.queue.left(State.UNKNOWN):
            what = f"{counted(unknown, 'experiment')} {'was' if unknown == 1 else 'were'}"
            them = "it" if unknown == 1 else "them"
            self.terminal.say(
                f"{what} being submitted, and what became of {them} is not known: {again}",
                red=True,
            )

    def _next_command(self) -> str:
        count = self._submitter.queue.count
        if any(map(count, (State.WAITING, State.UNKNOWN, State.NOT_SUBMITTED))):
            return "the same command again, once that is fixed; --remex-doctor checks the rest"
        if count(State.UPSTREAM_FAILED):
            return "--remex-submit --remex-retry sends failed experiments, and those after them"
        if count(State.SUBMITTED):
            return "--remex-status --remex-wait, then --remex-collect"
        if count(State.UNJUDGED):
            return "--remex-collect shows whose check failed"
        if count(State.ALREADY):
            return "--remex-status shows their state"
        return "--remex-plan shows what would be sent"

    @property
    def _stops(self) -> bool:
        return bool(self.session.shouldstop or self.session.shouldfail)

    def _is_last(self, item: pytest.Function, nextitem: pytest.Item | None) -> bool:
        failed = CANDIDATE not in item.stash and self.session.config.getoption("maxfail")
        return bool(self._stops or failed or not is_experiment(nextitem))

    def _report(self) -> None:
        """Report items in order, up to the first whose outcome is unknown."""
        while self._held and self._held[0].ready:
            held = self._held.popleft()
            item, reports = held.item, held.reports or []
            if candidate := item.stash.get(CANDIDATE, None):
                _add_outcome(item, reports, candidate.outcome)
            log_reports(item, reports)


def _add_outcome(
    item: pytest.Function, reports: Sequence[pytest.TestReport], outcome: Outcome
) -> None:
    """Change an item's reports, which are about the patch, to the outcome of its submission."""
    facts = {"state": str(outcome.state), "job_id": outcome.job, "launch": outcome.launch}
    note_facts(item, **facts)
    call = next(report for report in reports if report.when == "call")
    match outcome.state:
        case State.SUBMITTED:
            set_word(call, _word(outcome))
            # junitxml takes properties from the teardown's report.
            for report in reports:
                report.user_properties += properties_of(facts)
        case state if state in NOT_SENT and not call.skipped:
            set_word(call, _word(outcome))
            skip_report(item, call, _why_not_sent(outcome))
        case state if state in FAILED:
            words = {
                State.NOT_SUBMITTED: "not submitted: ",
                State.UPSTREAM_FAILED: "UPSTREAM FAILED: ",
            }
            why = words.get(outcome.state, "") + outcome.why
            fail_report(item, call, why)


def _word(outcome: Outcome) -> str:
    return f"{outcome.state} job {outcome.job}"


def _why_not_sent(outcome: Outcome) -> str:
    if outcome.state is not State.ALREADY:
        return f"{outcome.why}: job {outcome.job} in launch {outcome.launch}"
    by = f" by {outcome.by}" if outcome.by else ""
    return f"already submitted{by}: job {outcome.job} in launch {outcome.launch}"
