"""End submissions to the local scheduler that an interrupted launch left."""

from pytest_remex.agent import fs
from pytest_remex.agent.local.scheduler import jobs_of
from pytest_remex.agent.local.store import RELEASED, Store
from pytest_remex.agent.slurm.discard import answer, refuse, units_to_end
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.claims import Discard


def discard(request: Discard, reply: Reply) -> None:
    """End submissions: those that were not queued, and those whose job was not released."""
    store = Store(request.runs)
    released = set(store.marked(RELEASED))
    for unit in units_to_end(request, reply, lambda _submission: {}):
        settled = paths.settled_job(unit.notes, unit.job_number)
        job = (fs.read(settled) or "").strip()
        if job in released:
            answer(unit, reply, jobs_of(unit, job))
            continue
        if job:
            store.withdraw(job)
            fs.remove(settled)
        refuse(unit, request.why, reply)
