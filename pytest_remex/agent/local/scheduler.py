"""The local scheduler as the agent's actions see it: submit held, release, query, cancel."""

import os
import time
from typing import Dict, List

from pytest_remex.agent import fs
from pytest_remex.agent.local import queue
from pytest_remex.agent.local.store import Spec, Store
from pytest_remex.agent.submissions import Submission, submissions_of
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths, protocol
from pytest_remex.common.git_environment import without_git_variables
from pytest_remex.common.jobs import Job, JobState, number_of

PATIENCE = 3.0
"""Seconds to wait for the queue to see a cancel."""


def submit(request: protocol.Submit, reply: Reply) -> None:
    """Queue units as held jobs; a unit that was queued before keeps its id."""
    store = Store(request.runs)
    environment = store.keep_environment(_environment())
    first = store.next_id()
    for unit in submissions_of(request):
        reply.check()
        job = _claim(store, unit, environment, first)
        first = max(first, int(job) + 1)
        tasks = _tasks_of(unit, job)
        for place in unit.places:
            fs.replace(paths.job(place), tasks[os.path.basename(place)] + "\n")
        reply.send(protocol.Held(unit.key, job, tasks))


def release(request: protocol.Release, reply: Reply) -> None:
    """Let held jobs go; the queue starts them."""
    store = Store(request.runs)
    for job in _whole(request.jobs):
        if store.spec(job) is None:
            reply.send(protocol.NotReleased(job, f"there is no local job {job}"))
        elif not _ended(store, job):
            store.mark("released", job)
    queue.ensure(store, reply.modules)
    known = [job for job in request.jobs if store.spec(job) is not None]
    reply.send(protocol.Released(known))


def query(request: protocol.Query, reply: Reply) -> None:
    """Tell each run's state."""
    store = Store(request.runs)
    queue.ensure(store, reply.modules)
    released = set(store.marked("released"))
    for run in request.queried:
        reply.send(protocol.RunState(run.directory, _job(store, run.job, released)))


def cancel(request: protocol.Cancel, reply: Reply) -> None:
    """End jobs, running or not, and wait a moment for it to show."""
    store = Store(request.runs)
    known = [job for job in request.jobs if store.spec(job) is not None]
    for job in known:
        store.mark("cancelled", job)
    queue.ensure(store, reply.modules)
    deadline = time.monotonic() + PATIENCE
    while store.marked("cancelled") and time.monotonic() < deadline:
        time.sleep(0.02)
    for job in request.jobs:
        if job in known:
            reply.send(protocol.Cancelled(job))
        else:
            reply.send(protocol.NotCancelled(job, f"there is no local job {job}"))


def _claim(store: Store, unit: Submission, environment: str, first: int) -> str:
    settled = paths.adopted(unit.home, unit.job_number)
    found = fs.read(settled)
    if found is not None:
        return found.strip()
    for place in unit.places:
        fs.remove(paths.exit_code(place))
    os.makedirs(unit.home, exist_ok=True)
    job = store.add(_spec(unit, environment), first)
    if fs.create(settled, job + "\n"):
        return job
    store.withdraw(job)
    return (fs.read(settled) or "").strip()


def _spec(unit: Submission, environment: str) -> Spec:
    return Spec(
        id="",
        directories=unit.places,
        array=unit.shared,
        throttle=unit.array.throttle if unit.array else None,
        name=unit.header.name or "run.sbatch",
        output=unit.header.output,
        error=unit.header.error,
        time_limit=unit.header.time_limit,
        environment=environment,
        extra=unit.environment,
        submitted=0.0,
    )


def _tasks_of(unit: Submission, job: str) -> Dict[str, str]:
    if not unit.shared:
        return {unit.directories[0]: job}
    return {name: f"{job}_{index}" for index, name in enumerate(unit.directories)}


def _whole(jobs: List[str]) -> List[str]:
    return list(dict.fromkeys(map(number_of, jobs)))


def _ended(store: Store, job: str) -> bool:
    spec = store.spec(job)
    return spec is None or all(store.state(task.id) for task in spec.tasks())


def _job(store: Store, name: str, released: "set[str]") -> Job:
    spec = store.spec(name)
    if spec is None:
        return Job(name, JobState.LOST, f"there is no local job {name}", source="local")
    state = store.state(name)
    waits = "PENDING" if spec.id in released else "HELD"
    elapsed = state.get("elapsed")
    if state.get("state") == "RUNNING":
        elapsed = round(time.time() - state["started"], 3)
    return Job(
        id=name,
        state=JobState(state.get("state", waits)),
        reason=state.get("reason", ""),
        exit_code=state.get("exit_code"),
        signal=state.get("signal"),
        elapsed=elapsed,
        time_limit=spec.time_limit,
        memory=state.get("memory"),
        cores=1,
        source="local",
    )


def _environment() -> Dict[str, str]:
    kept = without_git_variables(os.environ)
    return {name: text for name, text in kept.items() if not name.startswith("PYTEST_")}
