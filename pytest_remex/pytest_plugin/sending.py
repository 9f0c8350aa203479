"""Between pytest's items and the launcher: what each experiment's outcome is, and the warnings."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import pytest

from pytest_remex.collect.judge import make_run
from pytest_remex.collect.pipeline import CollectedRun, collect
from pytest_remex.collect.query import query
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import RemexError, SweepError
from pytest_remex.launch.background import BackgroundBatch
from pytest_remex.launch.cost import Cost
from pytest_remex.launch.launcher import Launcher
from pytest_remex.launch.requests import Services, SubmitRequest
from pytest_remex.launch.session import Outcome, Submitted
from pytest_remex.model import Repo
from pytest_remex.pytest_plugin import preparation
from pytest_remex.pytest_plugin.interrupts import deferred_interrupts
from pytest_remex.pytest_plugin.items import places_of, sweep_for
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.terminal import Terminal
from pytest_remex.records.index import RecordedRun
from pytest_remex.repo.workspace import Workspaces
from pytest_remex.transport.connections import Connections


@dataclass(frozen=True, slots=True)
class Already:
    """An experiment that has a run."""

    job: str
    launch: str


Result: TypeAlias = Outcome | Already

PATIENCE = 5.0
"""Seconds to wait for a batch in flight whose connection was closed."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch in flight, and what was decided of each of its orders."""

    decided: Sequence[SubmitRequest | Already]
    flight: BackgroundBatch
    interrupts: Sequence[int]
    """Each Ctrl-C that came since it left."""

    @property
    def new(self) -> list[SubmitRequest]:
        """The orders that were sent."""
        return [order for order in self.decided if isinstance(order, SubmitRequest)]


class Sender:
    """Prepares experiments and sends them, for one pytest run.

    One batch at a time is in flight, while the next one is prepared. `interrupted` is told of a
    Ctrl-C that comes meanwhile.
    """

    def __init__(
        self,
        config: pytest.Config,
        settings: Settings,
        terminal: Terminal,
        interrupted: Callable[[], None],
    ) -> None:
        self._interrupted = interrupted
        self._hook = config.hook
        self._settings = settings
        self._terminal = terminal
        settings.prepare_output()
        self._workspaces = Workspaces(kept=True)
        self._connections = Connections(terminal.prompt, terminal.announce)
        doors = Services(self._workspaces, self._connections.to)
        self._launcher = Launcher(settings.launches, doors, settings.grouping)
        self._sent: Sent | None = None
        self._until_landed = ExitStack()
        self._jobs: list[str] = []
        self._already = 0
        self._asked = Cost(0, 0.0, 0, 0)

    def checkout(self, item: pytest.Function, repo: Repo) -> AbstractContextManager[Path]:
        """Lend the scratch checkout to an experiment."""
        return preparation.checkout(self._workspaces, repo, sweep_for(item).branch)

    def prepare(self, item: pytest.Function) -> SubmitRequest | Already:
        """Patch and commit an experiment, and say whether it is to be sent."""
        __tracebackhide__ = True
        prepared = preparation.prepare(item, self._workspaces)
        repo, remote = places_of(item)
        preparation.warn(self._terminal, self._workspaces.git(repo), prepared)
        with preparation.failing_plainly():
            found = self._launcher.submitted(prepared, repo, remote)
        if found is not None and not found.run.stage.settled:
            return SubmitRequest(prepared, repo, remote, interrupted=found)
        if found is None or self._settings.again:
            return SubmitRequest(prepared, repo, remote)
        if self._settings.retry:
            return SubmitRequest(prepared, repo, remote, earlier=found)
        self._already += 1
        return Already(found.run.job, found.record.launch.id)

    def send(self, orders: Sequence[SubmitRequest]) -> None:
        """Begin to send a batch; Ctrl-C waits until it has landed.

        Raises `RemexError` for what concerns all of it.
        """
        with ExitStack() as stack:
            interrupts = stack.enter_context(deferred_interrupts(self._interrupted))
            decided = self._decide(orders)
            new = [order for order in decided if isinstance(order, SubmitRequest)]
            self._refuse_unconfirmed(new)
            self._sent = Sent(decided, BackgroundBatch(self._launcher.commit(new)), interrupts)
            self._until_landed = stack.pop_all()

    def land(self) -> list[Result]:
        """Wait for the batch in flight, and give what became of each order.

        Raises `RemexError` for what concerns all of it, and KeyboardInterrupt where Ctrl-C came
        twice: then it stays in flight.
        """
        sent, self._sent = self._sent, None
        if sent is None:
            return []
        try:
            outcomes = iter(self._landed(sent))
        except KeyboardInterrupt:
            self._sent = sent
            raise
        results = [next(outcomes) if isinstance(o, SubmitRequest) else o for o in sent.decided]
        self._tell(sent.new, [r for r in results if not isinstance(r, Already)])
        return results

    def may_be_submitted(self, order: SubmitRequest) -> bool:
        """Say whether an order whose batch did not land may have a job all the same."""
        return self._launcher.may_be_submitted(order)

    def close(self) -> None:
        """Finish the launches, and close all doors; a batch that is still in flight is let go."""
        self._until_landed.close()
        if self._sent and self._sent.flight.up:
            self._connections.close()
            self._sent.flight.crash(PATIENCE)
        launches = self._launcher.launches()
        for warning in self._launcher.close():
            self._terminal.note(warning)
        self._connections.close()
        try:
            self._workspaces.close()
        except RemexError as error:
            self._terminal.note(str(error))
        if self._jobs:
            named = ", ".join(launches)
            self._terminal.say(
                f"{len(self._jobs)} experiments submitted in launch {named}", green=True
            )
            self._terminal.say(f"asked for: {self._asked}")
        if self._already:
            self._terminal.say(f"{self._already} already submitted: --remex-status tells of them")

    def _landed(self, sent: Sent) -> list[Outcome]:
        if len(sent.interrupts) > 1:
            raise KeyboardInterrupt
        with self._until_landed, self._terminal.progress() as progress:
            return sent.flight.land(progress)

    def _decide(self, orders: Sequence[SubmitRequest]) -> list[SubmitRequest | Already]:
        """Leave out what needs no retry: its last job is alive, ended well, or is unknown."""
        earlier = [order.earlier for order in orders if order.earlier]
        jobs = query(earlier, self._connections.to)
        late = [each for each in earlier if jobs[each.run.directory].state is JobState.TIMEOUT]
        with self._terminal.progress() as progress:
            here = (
                collect(late, self._connections.to, self._settings.runs, progress) if late else []
            )
        timed_out = {each.run.directory: each for each in here}
        return [
            self._retried(order, order.earlier, jobs, timed_out) if order.earlier else order
            for order in orders
        ]

    def _retried(
        self,
        order: SubmitRequest,
        found: RecordedRun,
        jobs: Mapping[str, Job],
        timed_out: Mapping[str, CollectedRun],
    ) -> SubmitRequest | Already:
        directory = found.run.directory
        if not jobs[directory].state.failed:
            self._already += 1
            return Already(found.run.job, found.record.launch.id)
        if directory not in timed_out:
            return order
        run = make_run(timed_out[directory], order.prepared.experiment, self._hook)
        command = self._hook.pytest_remex_continue(run=run)
        if command is None:
            return order
        going_on = self._launcher.continued(found, shlex.join(command))
        return replace(order, interrupted=going_on)

    def _refuse_unconfirmed(self, orders: Sequence[SubmitRequest]) -> None:
        cost = Cost.of((order.prepared.header, self._size(order)) for order in orders)
        self._asked += cost
        if cost.jobs > self._settings.confirm and not self._settings.yes:
            raise SweepError(
                f"this launch asks for {cost}, above remex_confirm = {self._settings.confirm}: "
                f"add --remex-yes to send it"
            )

    def _size(self, order: SubmitRequest) -> int:
        base, shared = order.prepared.commit.base, order.remote.shared
        return self._workspaces.size(order.repo, base, shared)

    def _tell(self, orders: Sequence[SubmitRequest], results: Sequence[Outcome]) -> None:
        jobs: dict[str, dict[str, str]] = {}
        for order, result in zip(orders, results, strict=True):
            if isinstance(result, Submitted):
                launch = self._launcher.launch_of(order)
                jobs.setdefault(launch, {})[order.prepared.node] = result.job
                self._jobs.append(result.job)
        for launch, submitted in jobs.items():
            self._hook.pytest_remex_submitted(launch=launch, jobs=submitted)
