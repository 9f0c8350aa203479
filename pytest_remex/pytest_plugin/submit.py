"""Submit: experiments are prepared one by one in pytest's protocol, and sent in batches.

A batch is sent while the next one is prepared. A report is held back until its experiment's batch
has been submitted; then it tells the experiment's own outcome. pytest's loop stays in charge, so
-x, --maxfail, --lf and --junitxml mean what they mean for tests.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from pytest_remex.errors import RemexError
from pytest_remex.launch.grouping import GroupingKind
from pytest_remex.launch.requests import SubmitRequest
from pytest_remex.launch.session import Submitted, Unsubmitted
from pytest_remex.model import Remote, Repo
from pytest_remex.pytest_plugin.items import is_experiment, say
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.outcomes import fail, skip
from pytest_remex.pytest_plugin.sending import Already, Result, Sender
from pytest_remex.pytest_plugin.terminal import Terminal

BATCH = 250
"""Experiments a batch: a crash or Ctrl-C costs at most one, and its round trips are shared."""
GROUPED = 1000
"""Experiments a batch where runs are grouped: no array or pack is larger."""

ORDER = pytest.StashKey[SubmitRequest]()
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


class SubmitMode:
    """The plugin of the mode submit."""

    def __init__(self, session: pytest.Session, settings: Settings, count: int) -> None:
        self._session = session
        self._terminal = Terminal(session.config)
        self._sender = Sender(session.config, settings, self._terminal, self._interrupted)
        size = BATCH if settings.grouping.kind is GroupingKind.SINGLE else GROUPED
        # Above remex_confirm nothing is sent before all of the launch is known.
        self._size = count if count > settings.confirm and not settings.yes else size
        self._held: list[Held] = []
        self._waiting: list[pytest.Function] = []
        self._flying: list[pytest.Function] = []
        self._adrift = 0
        self._spent = 0.0

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
        if isinstance(answer, SubmitRequest):
            pyfuncitem.stash[ORDER] = answer
            self._waiting.append(pyfuncitem)
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
        """Send the batch, and end the last one while the fixtures of its experiments still live."""
        if isinstance(item, pytest.Function) and is_experiment(item):
            begun = time.perf_counter()
            try:
                self._send(last=self._is_last(item, nextitem))
            finally:
                self._spent = time.perf_counter() - begun
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        """Close what is open, whatever happened, after the last fixture and before the summary."""
        with suppress(KeyboardInterrupt):
            self._land()
        self._emit()
        try:
            return (yield)
        finally:
            self._sender.close()

    def pytest_terminal_summary(self) -> None:
        """Say what was submitted, what was not, and what to do next."""
        if self._waiting:
            self._terminal.say(
                f"{len(self._waiting)} experiments were prepared and not submitted: "
                f"run the same command again",
                red=True,
            )
        if adrift := self._adrift + len(self._flying):
            self._terminal.say(
                f"{adrift} experiments were being submitted, and what became of them "
                f"is not known: run the same command again",
                red=True,
            )
        self._terminal.summary("remex submit")

    def _interrupted(self) -> None:
        self._terminal.announce(
            "remex: finishing the batch in flight, then stopping; Ctrl-C again stops at once"
        )
        self._session.shouldstop = "remex: Ctrl-C"

    def _is_last(self, item: pytest.Function, nextitem: pytest.Item | None) -> bool:
        failed = ORDER not in item.stash and self._session.config.getoption("maxfail")
        return bool(self._stops or failed or not is_experiment(nextitem))

    @property
    def _stops(self) -> bool:
        return bool(self._session.shouldstop or self._session.shouldfail)

    def _send(self, *, last: bool) -> None:
        """Send what waits once it makes a batch; wait for the end of the last one."""
        if last or len(self._waiting) >= self._size:
            self._land()
            if self._waiting and not self._stops:
                self._start()
        if last:
            self._land()

    def _start(self) -> None:
        try:
            self._sender.send([item.stash[ORDER] for item in self._waiting])
        except Exception as error:  # noqa: BLE001 - a fault that nobody reports would look like success
            self._stop(self._waiting.pop(0), error)
            return
        self._flying, self._waiting = self._waiting, []

    def _land(self) -> None:
        """Wait for the batch in flight, and report what became of it."""
        try:
            results = self._sender.land()
        except Exception as error:  # noqa: BLE001 - as above
            first, *rest = self._flying
            self._stop(first, error)
            unsent = [i for i in rest if not self._sender.may_be_submitted(i.stash[ORDER])]
            self._adrift = len(rest) - len(unsent)
            self._waiting = [*unsent, *self._waiting]
        else:
            for item, result in zip(self._flying, results, strict=True):
                item.stash[RESULT] = result
        self._flying = []
        self._emit()

    def _stop(self, item: pytest.Function, error: Exception) -> None:
        """Tell one reason for all with one item; the rest stays for the next command."""
        plain = isinstance(error, RemexError | OSError)
        item.stash[RESULT] = Unsubmitted(str(error) if plain else traceback.format_exc())
        self._session.shouldstop = f"remex: {error}".splitlines()[0]

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
