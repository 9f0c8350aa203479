"""Submit: experiments are prepared one by one in pytest's protocol, and sent in batches.

A report is held back until its experiment's batch has been submitted; then it tells the
experiment's own outcome. pytest's loop stays in charge, so -x, --maxfail, --lf and --junitxml
mean what they mean for tests.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from pytest_remex.errors import RemexError
from pytest_remex.launch.opened import Submitted, Unsubmitted
from pytest_remex.launch.orders import Order
from pytest_remex.model import Remote, Repo
from pytest_remex.modes.items import is_experiment, say
from pytest_remex.modes.outcomes import fail, skip
from pytest_remex.modes.sending import Already, Result, Sender
from pytest_remex.modes.terminal import Terminal
from pytest_remex.options import Settings

BATCH = 500
"""Experiments a batch: a crash or Ctrl-C costs at most one, and its round trips are shared."""

ORDER = pytest.StashKey[Order]()
RESULT = pytest.StashKey[Result]()


@dataclass(slots=True)
class Held:
    """An item whose reports wait for its batch; None while it is under way."""

    item: pytest.Function
    reports: list[pytest.TestReport] | None = None

    @property
    def settled(self) -> bool:
        """Whether the item's own outcome is known."""
        if self.reports is None:
            return False
        return RESULT in self.item.stash or ORDER not in self.item.stash


class Submission:
    """The plugin of the mode submit."""

    def __init__(self, session: pytest.Session, settings: Settings, count: int) -> None:
        self._session = session
        self._terminal = Terminal(session.config)
        self._sender = Sender(session.config, settings, self._terminal, self._interrupted)
        # Above remex_confirm nothing is sent before all of the launch is known.
        self._size = count if count > settings.confirm and not settings.yes else BATCH
        self._held: list[Held] = []
        self._spent = 0.0
        self._waiting = 0
        self._unsent = 0

    def checkout(
        self, item: pytest.Function, repo: Repo, _remote: Remote
    ) -> AbstractContextManager[Path]:
        """Lend the scratch checkout to an experiment."""
        return self._sender.checkout(item, repo)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Run the patch in place of the test, and commit it."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        answer = self._sender.prepare(pyfuncitem)
        if isinstance(answer, Order):
            pyfuncitem.stash[ORDER] = answer
            self._waiting += 1
        else:
            _skip(pyfuncitem, answer)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> bool | None:
        """Run an experiment's protocol, and hold its reports back."""
        if not isinstance(item, pytest.Function) or not is_experiment(item):
            return None
        held = Held(item)
        self._held.append(held)
        self._spent = 0.0
        try:
            held.reports = runtestprotocol(item, log=False, nextitem=nextitem)
            # A batch is submitted in the last one's teardown: that is not its own time.
            held.reports[-1].duration -= self._spent
        finally:
            self._emit()
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None]:
        """Submit the batch while the fixtures of its last experiment still live."""
        if is_experiment(item) and self._is_due(item, nextitem):
            begun = time.perf_counter()
            try:
                self._flush()
            finally:
                self._spent = time.perf_counter() - begun
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        """Close what is open, whatever happened, after the last fixture and before the summary."""
        self._emit()
        self._unsent += sum(ORDER in held.item.stash for held in self._held)
        try:
            return (yield)
        finally:
            self._sender.close()

    def pytest_terminal_summary(self) -> None:
        """Say what was submitted, what was not, and what to do next."""
        if self._unsent:
            self._terminal.say(
                f"{self._unsent} experiments were prepared and not submitted: "
                f"run the same command again",
                red=True,
            )
        self._terminal.summary("remex submit")

    def _interrupted(self) -> None:
        self._terminal.announce(
            "remex: finishing the batch in flight, then stopping; Ctrl-C again stops at once"
        )
        self._session.shouldstop = "remex: Ctrl-C"

    def _is_due(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        stopping = self._session.shouldstop or self._session.shouldfail
        failed = ORDER not in item.stash and self._session.config.getoption("maxfail")
        return bool(
            self._waiting >= self._size or stopping or failed or not is_experiment(nextitem)
        )

    def _flush(self) -> None:
        waiting = [
            held.item
            for held in self._held
            if ORDER in held.item.stash and RESULT not in held.item.stash
        ]
        self._waiting = 0
        if not waiting:
            return
        try:
            results = self._sender.send([item.stash[ORDER] for item in waiting])
        except Exception as error:  # noqa: BLE001 - a fault that nobody reports would look like success
            # One reason for all: told once, and the rest stays for the next command.
            plain = isinstance(error, RemexError | OSError)
            waiting[0].stash[RESULT] = Unsubmitted(str(error) if plain else traceback.format_exc())
            self._session.shouldstop = f"remex: {error}".splitlines()[0]
            return
        for item, result in zip(waiting, results, strict=True):
            item.stash[RESULT] = result

    def _emit(self) -> None:
        """Report the leading items whose outcome is known, in their order."""
        while self._held and self._held[0].settled:
            held = self._held.pop(0)
            reports = _final(held.item, held.reports or [])
            hook = held.item.ihook
            hook.pytest_runtest_logstart(nodeid=held.item.nodeid, location=held.item.location)
            for report in reports:
                hook.pytest_runtest_logreport(report=report)
            hook.pytest_runtest_logfinish(nodeid=held.item.nodeid, location=held.item.location)


def _skip(item: pytest.Function, already: Already) -> None:
    __tracebackhide__ = True
    say(item, f"ALREADY SUBMITTED job {already.job}")
    skip(f"already submitted: job {already.job} in launch {already.launch}")


def _final(
    item: pytest.Function, reports: Sequence[pytest.TestReport]
) -> Sequence[pytest.TestReport]:
    """Give an item's reports with the outcome of its submission in the place of the patch's."""
    result = item.stash.get(RESULT, None)
    if result is None:
        return reports

    def outcome() -> None:
        match result:
            case Submitted(job):
                say(item, f"SUBMITTED job {job}")
            case Already():
                _skip(item, result)
            case Unsubmitted(why):
                fail(f"not submitted: {why}")

    index = next(number for number, report in enumerate(reports) if report.when == "call")
    call = pytest.CallInfo.from_call(outcome, "call")
    call.start, call.stop = reports[index].start, reports[index].stop
    call.duration = reports[index].duration
    final: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    told = [*reports[:index], final, *reports[index + 1 :]]
    if isinstance(result, Submitted):
        # junitxml takes properties from the teardown's report.
        for report in told:
            report.user_properties.append(("remex_job", result.job))
    return told
