"""The local scheduler as the agent's actions see it: submit held, release, query, cancel."""

import os
import time
from typing import Dict, List

from pytest_remex.agent import fs
from pytest_remex.agent.local import queue
from pytest_remex.agent.local.store import Spec, Store
from pytest_remex.agent.submissions import Submission, submissions_of
from pytest_remex.agent.wire import Reply, Request
from pytest_remex.common import paths
from pytest_remex.common.jobs import Job

PATIENCE = 3.0
"""Seconds to wait for the queue to see a cancel."""
_NOT_FOR_JOBS = ("PYTEST_", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX")


def submit(request: Request, talk: Reply) -> None:
    """Queue units as held jobs; a unit that was queued before keeps its id."""
    store = Store(request["runs"])
    environment = store.keep_environment(_environment())
    first = store.next_id()
    for unit in submissions_of(request):
        talk.check()
        job = _claim(store, unit, environment, first)
        first = max(first, int(job) + 1)
        tasks = _tasks_of(unit, job)
        for place in unit.places:
            fs.replace(paths.job(place), tasks[os.path.basename(place)] + "\n")
        talk.event("held", key=unit.key, job=job, jobs=tasks)


def release(request: Request, talk: Reply) -> None:
    """Let held jobs go; the queue starts them."""
    store = Store(request["runs"])
    for job in _whole(request["jobs"]):
        if store.spec(job) is None:
            talk.event("unreleased", job=job, message=f"there is no local job {job}")
        elif not _ended(store, job):
            store.mark("released", job)
    queue.ensure(store, talk.modules)
    known = [job for job in request["jobs"] if store.spec(job) is not None]
    talk.event("released", jobs=known)


def query(request: Request, talk: Reply) -> None:
    """Tell each run's state."""
    store = Store(request["runs"])
    queue.ensure(store, talk.modules)
    released = set(store.marked("released"))
    for asked in request["runs_to_query"]:
        job = _job(store, asked["job"], released)
        talk.event("job", directory=asked["directory"], job=job.as_json())


def cancel(request: Request, talk: Reply) -> None:
    """End jobs, running or not, and wait a moment for it to show."""
    store = Store(request["runs"])
    known = [job for job in request["jobs"] if store.spec(job) is not None]
    for job in known:
        store.mark("cancelled", job)
    queue.ensure(store, talk.modules)
    deadline = time.monotonic() + PATIENCE
    while store.marked("cancelled") and time.monotonic() < deadline:
        time.sleep(0.02)
    for job in request["jobs"]:
        if job in known:
            talk.event("cancelled", job=job)
        else:
            talk.event("uncancelled", job=job, message=f"there is no local job {job}")


def _claim(store: Store, unit: Submission, environment: str, first: int) -> str:
    settled = paths.adopted(unit.home, unit.serial)
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
    return list(dict.fromkeys(job.partition("_")[0] for job in jobs))


def _ended(store: Store, job: str) -> bool:
    spec = store.spec(job)
    return spec is None or all(store.state(task.id) for task in spec.tasks())


def _job(store: Store, name: str, released: "set[str]") -> Job:
    spec = store.spec(name)
    if spec is None:
        return Job(name, "LOST", f"there is no local job {name}", source="local")
    state = store.state(name)
    waits = "PENDING" if spec.id in released else "HELD"
    elapsed = state.get("elapsed")
    if state.get("state") == "RUNNING":
        elapsed = round(time.time() - state["started"], 3)
    return Job(
        id=name,
        state=state.get("state", waits),
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
    return {key: text for key, text in os.environ.items() if not key.startswith(_NOT_FOR_JOBS)}
