"""Tell the states of runs on a Slurm cluster, from whichever source knows.

First what squeue lists, then a final state seen before, then sacct, scontrol and the exit code
that the run directory holds. A source that failed is no answer: the state stays UNKNOWN.
"""

import os
import time
from typing import Dict, List

from pytest_remex.agent import fs
from pytest_remex.agent.slurm import lost_jobs, orphaned_jobs, packs, run_notes, sources
from pytest_remex.agent.slurm.parse import Listed
from pytest_remex.agent.slurm.sources import Asked, Known
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.jobs import Job, JobId, JobState
from pytest_remex.common.protocol import QueriedRun, Query, RunState

DAY = 86400.0
YEAR = 365 * DAY


def query(request: Query, reply: Reply) -> None:
    """Tell each run's job."""
    by_cluster: Dict[str, List[Asked]] = {}
    for run in request.queried:
        cluster = JobId.parse(run.job).cluster
        by_cluster.setdefault(cluster, []).append(_asked(request.runs, run))
    for cluster, asked in by_cluster.items():
        known = Known(cluster)
        rows = _ask_all(asked, known)
        for one in asked:
            job = _own(one, known.jobs[one.directory])._replace(id=one.full)
            run_notes.remember(one.folder, job)
            reply.send(RunState(one.directory, job))
        if request.cancel_orphans:
            orphaned_jobs.sweep(rows, _units(asked, request.runs), cluster, reply)


def _asked(runs: str, run: QueriedRun) -> Asked:
    folder = os.path.join(runs, run.directory)
    try:
        since = os.stat(paths.run_json(folder)).st_mtime - DAY
    except OSError:
        since = time.time() - YEAR
    full = run.job
    return Asked(
        directory=run.directory,
        folder=folder,
        arrays=paths.arrays(runs),
        job=JobId.parse(full).on_cluster,
        full=full,
        since=since,
    )


def _ask_all(asked: List[Asked], known: Known) -> List[Listed]:
    rows = sources.ask_squeue(asked, known)
    sources.ask_records(asked, known)
    sources.ask_sacct(asked, known)
    sources.ask_scontrol(asked, known)
    sources.ask_run_directories(asked, known)
    if not known.failures:
        _find_lost(known.left(asked), known)
    why = "; ".join(known.failures)
    for one in known.left(asked):
        reason = why or known.hints.get(one.directory) or f"no source knows job {one.full}"
        known.jobs[one.directory] = Job(one.job, JobState.UNKNOWN, reason)
    return rows


def _find_lost(left: List[Asked], known: Known) -> None:
    if not left:
        return
    taken = {one.job for one in left if one.directory in known.taken}
    since = min(one.since for one in left)
    found = lost_jobs.judge([one.job for one in left], taken, since, known.cluster)
    known.jobs.update({one.directory: found[one.job] for one in left if one.job in found})


def _own(one: Asked, job: Job) -> Job:
    """Give a run's own state where it shares its job with others."""
    return packs.member(job, one.folder) if os.path.exists(paths.pack(one.folder)) else job


def _units(asked: List[Asked], runs: str) -> List[str]:
    """Give the folders of the asked jobs' units: run directories, and those of arrays."""
    above = paths.arrays(runs)
    names = (os.path.join(above, name) for name in fs.listing(above))
    return [*(one.folder for one in asked), *names]
