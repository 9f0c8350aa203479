"""Release Slurm jobs that are held, ours, and nobody else's."""

from typing import Dict, List

from . import job_ids, parallel, slurm, slurm_commands
from .faults import AgentError
from .owners import FOREIGN, Owned
from .wire import Request, Talk

WIDTH = 4
FEWEST = 50
"""Jobs that one scontrol takes at least: it asks the controller for each of them in turn."""


def release(request: Request, talk: Talk) -> None:
    """Release what is held by the user and ours; what is not held any more counts as released."""
    runs = request["runs"]
    for cluster, jobs in job_ids.by_cluster(request["jobs"]).items():
        owned = Owned(runs, cluster)
        wholes = list(dict.fromkeys(map(job_ids.whole_of, jobs)))
        ours = [job for job in wholes if owned.held(job) and owned.ours(job)]
        refused = {job: FOREIGN.format(job=job) for job in wholes if not owned.ours(job)}
        # scontrol waits for a controller that has crashed, and comes back with other jobs
        talk.check()
        refused.update(_release(ours, runs, cluster))
        _tell(jobs, cluster, refused, talk)


def _release(jobs: List[str], runs: str, cluster: str) -> Dict[str, str]:
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
        owned = Owned(runs, cluster)
    except AgentError:
        return said
    return {job: why for job, why in said.items() if owned.held(job)}


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
