"""Processes of pytest-xdist that judge runs; this is the only module that knows xdist.

pytest-xdist starts them, each collects the items as this process does, and each is given one item
after the other. This process runs no check, which might end it: it takes their reports in the order
of the items.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

import pytest
from execnet import XSpec
from xdist.workermanage import NodeManager, WorkerController

from pytest_remex import temporary
from pytest_remex.collect.runs import CollectedRun
from pytest_remex.pytest_plugin.handover import DIED, Collect, append_runs
from pytest_remex.pytest_plugin.items import WORKER_INPUT
from pytest_remex.tables.publish import TablesImport

GIVEN = 2
"""The least items that a process has: it does the first only when it knows of the second."""
SECONDS = 2.0
"""How long a process may take to end before it is interrupted, and again before it is killed."""


class JudgingProcesses:
    """Processes that judge runs for this one, at most `number` at a time."""

    def __init__(self, config: pytest.Config, number: int) -> None:
        self._config = config
        self._number = number
        self._tell: Callable[[str], None] = lambda _note: None
        self._items: list[pytest.Item] = []
        self._nodes: list[str] = []
        self._folder = tempfile.TemporaryDirectory(prefix=temporary.prefix("judging"))
        self.collect = Collect.new(Path(self._folder.name) / "runs.jsonl")
        """The collect that they are a part of."""
        self._events: SimpleQueue[tuple[str, dict[str, Any]]] = SimpleQueue()
        self._manager: NodeManager | None = None
        self._specs: deque[XSpec] = deque()
        self._starter = threading.Thread(target=self._start, args=(number,))
        self.tables = TablesImport()
        self._lock = threading.Lock()
        """Held while items are given to processes, also as a process asks, in a thread of xdist."""
        self._is_announced = False
        self._numbers: dict[str, int] = {}
        self._waiting: deque[int] = deque()
        """The numbers of the items that no process has taken yet."""
        self._given: dict[WorkerController, deque[int]] = {}
        self._collected: dict[WorkerController, Sequence[str]] = {}
        """The node ids of the items that each process has collected."""
        self._used: set[WorkerController] = set()
        self._begun: set[int] = set()
        self._left: set[int] = set()
        self._reports: dict[int, list[pytest.TestReport]] = {}
        self._ended: set[int] = set()

    def start(self) -> None:
        """Start all processes before it is known what they judge, and do not wait for it."""
        self._starter.start()

    def expect(self, items: Sequence[pytest.Item], tell: Callable[[str], None]) -> None:
        """Take in the items of this process, and whom to tell notes for the user."""
        self._wait_for_start()
        self._items, self._nodes = list(items), [item.nodeid for item in items]
        self._numbers = {node: number for number, node in enumerate(self._nodes)}
        self._tell = tell

    def add(self, runs: Mapping[str, CollectedRun], needs_check: Callable[[str], bool]) -> None:
        """Have runs judged, by node id, in the order of the items, if their checks have to run.

        Those of items that were added after collection are left to this process.
        """
        known = {node: each for node, each in runs.items() if node in self._numbers}
        wanted = {node: each for node, each in known.items() if needs_check(node)}
        if not wanted:
            return
        append_runs(self.collect.runs, wanted)
        numbers = sorted(self._numbers[node] for node in wanted)
        self._left.update(numbers)
        with self._lock:
            self._waiting.extend(numbers)
            self._is_announced = True
            for node in self._given:
                self._feed(node)
        self._start_what_is_missing()

    def wait_for(self, item: pytest.Item) -> Sequence[pytest.TestReport] | None:
        """Wait for an item's reports; None if it has to be judged by this process.

        If the process that judged it died, the reports end with the one of `died`.
        """
        number = self._numbers.get(item.nodeid, -1)
        while number in self._left and number not in self._ended:
            self._handle(*self._events.get())
        if number not in self._left:
            return None
        self._left.discard(number)
        return self._reports.pop(number, [])

    def close(self) -> Sequence[pytest.Item]:
        """End all processes: those that are idle at once, others when they are interrupted.

        Return the items whose verdicts were not waited for.
        """
        self._wait_for_start()
        if self._manager is not None:
            with self._lock:
                self._waiting.clear()
            while not self._events.empty():
                self._handle(*self._events.get())
            for node in self._given:
                node.shutdown()
            self._signal(signal.SIGKILL, self._given.keys() - self._used)  # nothing to tear down
            if not self._have_ended():
                self._signal(signal.SIGINT, self._given)
                self._have_ended()
            self._manager.EXIT_TIMEOUT = 1
            self._manager.teardown_nodes()
            self._manager = None
        self._folder.cleanup()
        return [self._items[number] for number in self._left]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """End all processes if the collection of items failed; see pytest."""
        self.close()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell a process of the collect; see pytest-xdist."""
        node.workerinput[WORKER_INPUT] = self.collect.text()

    def _wait_for_start(self) -> None:
        if self._starter.is_alive():
            self._starter.join()

    def _start_what_is_missing(self) -> None:
        usable = [node for node in self._given if not node.shutting_down]
        self._start(min(self._number, len(self._waiting)) - len(usable))

    def _start(self, number: int) -> None:
        for _ in range(number):
            if self._manager is None:
                self._manager = NodeManager(self._config, ["popen"] * self._number)
                self._specs.extend(self._manager.specs)
            spec = self._specs.popleft() if self._specs else XSpec("popen")
            self._given.setdefault(self._manager.setup_node(spec, self._take_in), deque())

    def _take_in(self, event: tuple[str, dict[str, Any]]) -> None:
        """Take an event from a thread of pytest-xdist: a process that is idle gets items at once.

        All else waits for the turn of an item.
        """
        name, about = event
        with self._lock:
            if name == "collectionfinish":
                self._collected[about["node"]] = about["ids"]
                self._feed(about["node"])
            elif name == "runtest_protocol_complete":
                self._given[about["node"]].popleft()
                self._feed(about["node"])
        self._events.put(event)

    def _handle(self, event: str, about: dict[str, Any]) -> None:
        match event:
            case "collectionfinish":
                self._compare(about["ids"])
            case "logstart":
                self._begun.add(self._numbers[about["nodeid"]])
            case "testreport":
                report = about["rep"]
                self._reports.setdefault(report.item_index, []).append(report)
            case "runtest_protocol_complete":
                self._ended.add(about["item_index"])
            case "workerfinished" | "errordown":
                self._end(about["node"], about.get("error"))
            case "warning_recorded":
                self._config.hook.pytest_warning_recorded.call_historic(kwargs=about)
            case "internal_error":
                error = str(about["formatted_error"]).splitlines()[-1:]
                self._give_up(f"judged in this process, as another one failed: {' '.join(error)}")

    def _compare(self, nodes: Sequence[str]) -> None:
        """Leave all to this process if another one has other items."""
        here = self._nodes
        if nodes != here:
            pairs = zip(nodes, here, strict=False)
            other = next((pair for pair in pairs if len({*pair}) > 1), (len(nodes), len(here)))
            self._give_up(
                f"another process found other experiments ({other[0]} for {other[1]}): judged in "
                f"this one; for -n a sweep must have the same points in the same order each time"
            )

    def _feed(self, node: WorkerController) -> None:
        """Send a process its next items, or end it. The caller holds the lock."""
        is_ready = self._is_announced and self._collected.get(node) == self._nodes
        if not is_ready or node.shutting_down:
            return
        given = self._given.setdefault(node, deque())
        # with one more, it need not wait for the next one; the last ones are shared evenly
        most = GIVEN + (len(self._waiting) > GIVEN * self._number)
        count = min(most - len(given), len(self._waiting))
        numbers = [self._waiting.popleft() for _ in range(count)]
        given.extend(numbers)
        if numbers:
            self._used.add(node)
            with suppress(OSError):  # it has died, and `_end` passes them on
                node.send_runtest_some(numbers)
        if not self._waiting:
            node.shutdown()

    def _end(self, node: WorkerController, error: object) -> None:
        """Take in that a process has ended: what it began has failed, others judge the rest."""
        given = self._given.pop(node, deque())
        self._config.hook.pytest_testnodedown(node=node, error=error)
        if error is not None and node in self._collected:
            if given and given[0] in self._begun:
                died = given.popleft()
                self._reports[died] = _of_died(self._items[died], self._reports.get(died, []))
                self._ended.add(died)
            with self._lock:
                self._waiting.extendleft(reversed(given))
            self._start_what_is_missing()
        elif given or error is not None:
            self._give_up(f"judged in this process, as another one ended early: {error or '-'}")

    def _give_up(self, why: str) -> None:
        """Leave to this process what is not judged yet."""
        self._tell(why)
        with self._lock:
            self._waiting.clear()
        self._left &= self._ended.union(*self._given.values())
        for node in self._given:
            node.shutdown()

    @staticmethod
    def _signal(number: int, nodes: Iterable[WorkerController]) -> None:
        for node in nodes:
            with suppress(ProcessLookupError):
                os.kill(node.gateway._rinfo().pid, number)  # noqa: SLF001 - known since its start

    def _have_ended(self) -> bool:
        """Return whether all processes end within `SECONDS`."""
        end = time.monotonic() + SECONDS
        while self._given and time.monotonic() < end:
            with suppress(Empty):
                event, about = self._events.get(timeout=0.1)
                if event in {"workerfinished", "errordown"}:
                    self._given.pop(about["node"], None)
        return not self._given


def _of_died(item: pytest.Item, reports: Sequence[pytest.TestReport]) -> list[pytest.TestReport]:
    """Return the reports of an item whose process died, as far as they came and what is missing."""
    phases = {report.when for report in reports}
    failed: Literal["call", "teardown"] = "teardown" if "call" in phases else "call"
    missing = [_report(item, "failed", DIED, failed)]
    if failed == "call":
        missing.append(_report(item, "passed", None, "teardown"))
    return [*reports, *missing]


def _report(
    item: pytest.Item,
    outcome: Literal["passed", "failed"],
    why: str | None,
    when: Literal["call", "teardown"],
) -> pytest.TestReport:
    return pytest.TestReport(
        item.nodeid, item.location, {}, outcome, why, when, user_properties=item.user_properties
    )
