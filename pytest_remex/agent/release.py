"""Release Slurm jobs that are held, ours, and nobody else's."""

import os
from typing import Dict, List

from . import job_ids, parallel, slurm, slurm_commands
from .faults import AgentError
from .slurm_parse import Listed
from .wire import Request, Talk

WIDTH = 4
FEWEST = 50
"""Jobs that one scontrol takes at least: it asks the controller for each of them in turn."""
FOREIGN = "Slurm lost job {job}, and gave its number to another's: --remex-retry submits it again"


def release(request: Request, talk: Talk) -> None:
    """Release what is held by the user and ours; what is not held any more counts as released."""
    runs = request["runs"]
    for cluster, jobs in job_ids.by_cluster(request["jobs"]).items():
        rows = _by_whole(slurm.listing(cluster))
        wholes = list(dict.fromkeys(job_ids.whole_of(job) for job in jobs))
        held = [job for job in wholes if any(row.held_by_user for row in rows.get(job, []))]
        ours = [job for job in held if all(_inside(runs, row) for row in rows[job])]
        refused = {job: FOREIGN.format(job=job) for job in set(held) - set(ours)}
        refused.update(_release(ours, cluster))
        _tell(jobs, cluster, refused, talk)


def _release(jobs: List[str], cluster: str) -> Dict[str, str]:
    """Release jobs; gives, for those that are held all the same, what Slurm said."""
    said: Dict[str, str] = {}

    def let_go(some: List[str]) -> None:
        ran = slurm.run(slurm_commands.release(some, cluster))
        if not ran.well:
            said.update(dict.fromkeys(some, f"scontrol release failed: {ran.words()}"))

    parallel.each(_shares(jobs), let_go, WIDTH)
    if not said:
        return {}
    try:
        rows = _by_whole(slurm.listing(cluster))
    except AgentError:
        return said
    return {job: why for job, why in said.items() if any(r.held_by_user for r in rows.get(job, []))}


def _shares(jobs: List[str]) -> List[List[str]]:
    size = max(FEWEST, -(-len(jobs) // WIDTH))
    shares = [jobs[start : start + size] for start in range(0, len(jobs), size)]
    return [some for share in shares for some in slurm.chunks(share)]


def _tell(jobs: List[str], cluster: str, refused: Dict[str, str], talk: Talk) -> None:
    released = [job for job in jobs if job_ids.whole_of(job) not in refused]
    talk.event("released", jobs=[job_ids.full(job, cluster) for job in released])
    for job in jobs:
        why = refused.get(job_ids.whole_of(job))
        if why is not None:
            lost = {"lost": True} if why == FOREIGN.format(job=job_ids.whole_of(job)) else {}
            talk.event("unreleased", job=job_ids.full(job, cluster), message=why, **lost)


def _by_whole(rows: List[Listed]) -> Dict[str, List[Listed]]:
    found: Dict[str, List[Listed]] = {}
    for row in rows:
        found.setdefault(job_ids.whole_of(row.id), []).append(row)
    return found


def _inside(runs: str, row: Listed) -> bool:
    folder = os.path.realpath(row.work_dir)
    return folder.startswith(os.path.realpath(runs) + os.sep)
