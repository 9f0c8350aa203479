"""The local scheduler's queue: a separate process that outlives pytest and runs released jobs."""

import json
import subprocess
import sys
import threading
import time
from typing import IO, Dict, List, Optional, Set, Tuple

from pytest_remex.agent import BOOT, process
from pytest_remex.agent.errors import UnreadableError
from pytest_remex.agent.local.job import RunningJob, Slots, StartError
from pytest_remex.agent.local.store import CANCELLED, RELEASED, Store, Task, lock, tasks
from pytest_remex.common.jobs import JobState, number_of
from pytest_remex.common.paths import LocalState

PAUSE = 0.05
"""Seconds between checks for released and cancelled jobs."""
IDLE = 2.0
"""Seconds without work after which the queue exits."""


def ensure(store: Store, modules: str) -> None:
    """Start the queue of a runs folder, if there is work and no queue is running."""
    if not (store.marked(RELEASED) or store.marked(CANCELLED)):
        return
    held = lock(store.path("queue.lock"))
    if held is None:
        return
    with held:
        settle_orphans(store)
    _start(store, modules)


def settle_orphans(store: Store) -> None:
    """Kill the jobs that a killed queue left running; the caller must hold the queue's lock."""
    for job in store.marked(RELEASED):
        for task in _tasks(store, job):
            state = _state(store, task.id)
            if state is not None and state.state is JobState.RUNNING:
                process.kill_group(state.pid, state.birth)
                reason = "the queue process was killed"
                ended = state._replace(state=JobState.NODE_FAIL, reason=reason)
                store.write_state(task.id, ended)


def run_queue(runs: str) -> None:
    """Run the queue of a runs folder until there is nothing left to do."""
    store = Store(runs)
    while store.marked(RELEASED) or store.marked(CANCELLED):
        held = lock(store.path("queue.lock"))
        if held is None:
            return
        with held:
            settle_orphans(store)
            Queue(store, Slots()).work()


def _tasks(store: Store, job: str) -> List[Task]:
    """Return a job's tasks; none, with a line in the log, if the job cannot be read."""
    try:
        spec = store.spec(job)
    except UnreadableError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the queue's log
        return []
    return list(tasks(spec)) if spec else []


def before_of(task: Task) -> List[str]:
    """Return the ids of what a task comes after, from a dependency as sbatch takes it."""
    kind, *jobs = task.spec.dependency.split(":")
    if kind == "aftercorr":
        return [f"{job}_{task.array_index}" for job in jobs]
    return jobs


def _state(store: Store, task: str) -> Optional[LocalState]:
    """Return a task's state by its id; a damaged one is UNKNOWN."""
    try:
        return store.state(task)
    except UnreadableError as error:
        return LocalState(JobState.UNKNOWN, str(error))


class Queue:
    """The waiting and running jobs of one runs folder."""

    def __init__(self, store: Store, slots: Slots) -> None:
        self._store = store
        self._slots = slots
        self._waiting: List[Task] = []
        self._running: List[Tuple[RunningJob, IO[str]]] = []
        self._left: Dict[str, int] = {}
        self._child_exit = process.ChildExitWaiter()

    def work(self) -> None:
        """Run released jobs until there has been no work for a while."""
        busy = time.monotonic()
        next_check = 0.0
        while time.monotonic() - busy < IDLE:
            if time.monotonic() >= next_check:
                next_check = time.monotonic() + PAUSE
                self._cancel()
                self._queue_up()
            self._reap()
            self._start_what_fits()
            if self._left:
                busy = time.monotonic()
            self._child_exit.wait(PAUSE)

    def _queue_up(self) -> None:
        for job in self._store.marked(RELEASED, known=self._left):
            todo = [task for task in _tasks(self._store, job) if self._unstarted(task)]
            self._left[job] = len(todo)
            self._waiting += todo
            self._forget_finished(job)

    def _start_what_fits(self) -> None:
        unfinished = {task.id for task in self._waiting}
        unfinished.update(job.task.id for job, _ in self._running)
        for task in list(self._waiting):
            if self._throttled(task) or not self._may_start(task, unfinished):
                continue
            slot = self._slots.take()
            if slot is None:
                return
            self._waiting.remove(task)
            self._start(task, slot)

    def _start(self, task: Task, slot: IO[str]) -> None:
        try:
            job = RunningJob(self._store, task)
        except StartError as error:
            slot.close()
            self._finish(task, LocalState(JobState.FAILED, str(error), exit_code=1))
            return
        # recorded before it runs: if this queue is killed, the next must not start it again
        self._store.write_state(task.id, job.state())
        job.begin()
        self._running.append((job, slot))

    def _may_start(self, task: Task, unfinished: Set[str]) -> bool:
        """Return whether what a task comes after has completed; if that failed, end it."""
        for before in before_of(task):
            state = None if before in unfinished else _state(self._store, before)
            if state is None or not state.state.ended:
                return False
            if state.state is not JobState.COMPLETED:
                self._waiting.remove(task)
                why = f"job {before}, which it comes after, ended {state.state}"
                self._finish(task, LocalState(JobState.UPSTREAM_FAILED, why))
                return False
        return True

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
        """Cancel jobs that are marked; the mark stays until they have ended."""
        for name in self._store.marked(CANCELLED):
            named = [
                task for task in _tasks(self._store, name) if name in (task.id, number_of(task.id))
            ]
            running = [job for job, _ in self._running if job.task in named]
            for job in running:
                job.end(JobState.CANCELLED)
            for task in named:
                if self._unstarted(task):
                    self._cancel_unstarted(task)
            if not running:
                self._store.unmark(CANCELLED, name)

    def _cancel_unstarted(self, task: Task) -> None:
        self._waiting = [waiting for waiting in self._waiting if waiting.id != task.id]
        reason = "cancelled before it started"
        self._finish(task, LocalState(JobState.CANCELLED, reason))

    def _unstarted(self, task: Task) -> bool:
        return not self._store.has_started(task.id)

    def _finish(self, task: Task, state: LocalState) -> None:
        self._store.write_state(task.id, state)
        job = task.spec.id
        if job in self._left:
            self._left[job] -= 1
            self._forget_finished(job)

    def _forget_finished(self, job: str) -> None:
        if not self._left[job]:
            del self._left[job]
            self._store.unmark(RELEASED, job)


def _start(store: Store, modules: str) -> None:
    with open(store.path("queue.log"), "ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-c", BOOT],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    line = json.dumps({"nonce": "", "modules": modules, "queue": store.runs})
    assert started.stdin is not None  # noqa: S101 - a pipe, as asked for
    with started.stdin as stdin:
        stdin.write(line.encode("ascii") + b"\n")
    threading.Thread(target=started.wait, daemon=True).start()
