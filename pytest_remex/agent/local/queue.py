"""The local scheduler's queue: a process of its own that outlives pytest and runs released jobs."""

import json
import subprocess
import sys
import threading
import time
from typing import IO, Dict, List, Optional, Tuple

from pytest_remex.agent import BOOT, processes
from pytest_remex.agent.local import slots
from pytest_remex.agent.local.child_exit import ChildExitWaiter
from pytest_remex.agent.local.job import RunningJob, StartError
from pytest_remex.agent.local.store import Store, Task
from pytest_remex.common.jobs import FINAL

PAUSE = 0.05
"""Seconds between two looks at what is released and cancelled."""
IDLE = 2.0
"""Seconds without work after which the queue ends."""


def ensure(store: Store, modules: str) -> None:
    """Start the queue of a runs folder when there is work and no queue."""
    if not (store.marked("released") or store.marked("cancelled")):
        return
    held = slots.lock(store.path("queue.lock"))
    if held is None:
        return
    with held:
        settle_orphans(store)
    _start(store, modules)


def settle_orphans(store: Store) -> None:
    """End what a killed queue left running; only under the queue's lock."""
    for job in store.marked("released"):
        spec = store.spec(job)
        for task in spec.tasks() if spec else ():
            state = store.state(task.id)
            if state.get("state") == "RUNNING":
                processes.kill_group_of(state.get("pid", 0), state.get("birth"))
                reason = "the queue process was killed"
                store.write_state(task.id, {**state, "state": "NODE_FAIL", "reason": reason})


def keep(runs: str) -> None:
    """Be the queue of a runs folder until there is nothing left to do."""
    store = Store(runs)
    while store.marked("released") or store.marked("cancelled"):
        held = slots.lock(store.path("queue.lock"))
        if held is None:
            return
        with held:
            settle_orphans(store)
            Queue(store, slots.Slots()).work()


class Queue:
    """The jobs of one runs folder that wait and run."""

    def __init__(self, store: Store, free: slots.Slots) -> None:
        self._store = store
        self._slots = free
        self._waiting: List[Task] = []
        self._running: List[Tuple[RunningJob, IO[str]]] = []
        self._left: Dict[str, int] = {}
        self._bell = ChildExitWaiter()

    def work(self) -> None:
        """Run what is released until nothing has been for a while."""
        busy = time.monotonic()
        look = 0.0
        while time.monotonic() - busy < IDLE:
            if time.monotonic() >= look:
                look = time.monotonic() + PAUSE
                self._cancel()
                self._queue_up()
            self._reap()
            self._start_what_fits()
            if self._left:
                busy = time.monotonic()
            self._bell.wait(PAUSE)

    def _queue_up(self) -> None:
        for job in self._store.marked("released", known=self._left):
            spec = self._store.spec(job)
            if spec is None:
                self._store.unmark("released", job)
                continue
            todo = [task for task in spec.tasks() if not self._ended(task)]
            self._left[job] = len(todo)
            self._waiting += todo
            self._forget_finished(job)

    def _start_what_fits(self) -> None:
        for task in list(self._waiting):
            if self._throttled(task):
                continue
            slot = self._slots.take()
            if slot is None:
                return
            self._waiting.remove(task)
            self._start(task, slot)

    def _start(self, task: Task, slot: IO[str]) -> None:
        # noted before the start: a queue killed here must not make the next one start it again
        self._store.write_state(task.id, {"state": "RUNNING", "started": time.time()})
        try:
            job = RunningJob(self._store, task)
        except StartError as error:
            slot.close()
            self._finish(task, {"state": "FAILED", "reason": str(error), "exit_code": 1})
            return
        self._store.write_state(task.id, job.state())
        self._running.append((job, slot))

    def _throttled(self, task: Task) -> bool:
        limit = task.spec.throttle
        running = sum(job.task.spec.id == task.spec.id for job, _ in self._running)
        return limit is not None and running >= limit

    def _reap(self) -> None:
        for job, slot in list(self._running):
            final = job.poll()
            if final is not None:
                slot.close()
                self._running.remove((job, slot))
                self._finish(job.task, final)

    def _cancel(self) -> None:
        for name in self._store.marked("cancelled"):
            spec = self._store.spec(name)
            for task in spec.tasks() if spec else ():
                if name in (task.id, task.spec.id):
                    self._cancel_task(task)
            self._store.unmark("cancelled", name)

    def _cancel_task(self, task: Task) -> None:
        for job, _ in self._running:
            if job.task.id == task.id:
                job.end("CANCELLED")
                return
        if self._ended(task):
            return
        self._waiting = [waiting for waiting in self._waiting if waiting.id != task.id]
        self._finish(task, {"state": "CANCELLED", "reason": "cancelled before it started"})

    def _ended(self, task: Task) -> bool:
        return self._store.state(task.id).get("state") in FINAL

    def _finish(self, task: Task, state: Dict[str, object]) -> None:
        self._store.write_state(task.id, state)
        job = task.spec.id
        if job in self._left:
            self._left[job] -= 1
            self._forget_finished(job)

    def _forget_finished(self, job: str) -> None:
        if not self._left[job]:
            del self._left[job]
            self._store.unmark("released", job)


def _start(store: Store, modules: str) -> None:
    with open(store.path("queue.log"), "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", BOOT],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    line = json.dumps({"nonce": "", "modules": modules, "queue": store.runs})
    _feed(process, line)
    threading.Thread(target=process.wait, daemon=True).start()


def _feed(process: "subprocess.Popen[bytes]", line: str) -> Optional[int]:
    if process.stdin is None:
        return None
    with process.stdin as stdin:
        return stdin.write(line.encode("ascii") + b"\n")
