"""End submissions to the local scheduler that an interrupted launch left."""

from typing import Container

from pytest_remex.agent import fs
from pytest_remex.agent.errors import UnreadableError
from pytest_remex.agent.local.scheduler import jobs_of
from pytest_remex.agent.local.store import RELEASED, Store, tasks
from pytest_remex.agent.slurm.discard import answer, refuse, units_to_end
from pytest_remex.agent.submissions import LocatedSubmission
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.claims import Discard


def discard(request: Discard, reply: Reply) -> None:
    """End submissions: those that were not queued, and those whose job was not released."""
    store = Store(request.runs)
    released = set(store.marked(RELEASED))
    for unit in units_to_end(request, reply, lambda _submission: {}):
        try:
            _discard(store, unit, released, request.why, reply)
        except UnreadableError as error:
            answer(unit, reply, message=str(error))


def _discard(
    store: Store, unit: LocatedSubmission, released: Container[str], why: str, reply: Reply
) -> None:
    settled = paths.settled_job(unit.notes, unit.job_number)
    job = (fs.read(settled) or "").strip()
    if job in released or (job and _has_started(store, job)):
        answer(unit, reply, jobs_of(unit, job))
        return
    if job:
        store.withdraw(job)
        fs.remove(settled)
    refuse(unit, why, reply)


def _has_started(store: Store, job: str) -> bool:
    """Return whether a job has started, or will never start: an ended one is no longer marked."""
    spec = store.spec(job)
    return spec is not None and any(store.has_started(task.id) for task in tasks(spec))
