"""Release Slurm jobs that are held, ours, and nobody else's."""

from typing import Dict, List

from pytest_remex.agent import parallel
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.slurm import client, command_lines
from pytest_remex.agent.slurm.job_ownership import FOREIGN, Owned
from pytest_remex.agent.wire import Reply
from pytest_remex.common.jobs import by_cluster, number_of, with_cluster
from pytest_remex.common.protocol import NotReleased, Release, Released

WIDTH = 4
FEWEST = 50
"""Jobs that one scontrol takes at least: it asks the controller for each of them in turn."""


def release(request: Release, reply: Reply) -> None:
    """Release what is held by the user and ours; what is not held any more counts as released."""
    runs = request.runs
    for cluster, jobs in by_cluster(request.jobs).items():
        owned = Owned(runs, cluster)
        wholes = list(dict.fromkeys(map(number_of, jobs)))
        ours = [job for job in wholes if owned.held(job) and owned.ours(job)]
        refused = {job: FOREIGN.format(job=job) for job in wholes if not owned.ours(job)}
        # scontrol waits for a controller that has crashed, and comes back with other jobs
        reply.check()
        refused.update(_release(ours, runs, cluster))
        _tell(jobs, cluster, refused, reply)


def _release(jobs: List[str], runs: str, cluster: str) -> Dict[str, str]:
    """Release jobs; gives, for those that are held all the same, what Slurm said."""
    said: Dict[str, str] = {}

    def let_go(some: List[str]) -> None:
        ran = client.run(command_lines.release(some, cluster))
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
    return [some for share in shares for some in client.chunks(share)]


def _tell(jobs: List[str], cluster: str, refused: Dict[str, str], reply: Reply) -> None:
    released = [job for job in jobs if number_of(job) not in refused]
    reply.send(Released([with_cluster(job, cluster) for job in released]))
    for job in jobs:
        why = refused.get(number_of(job))
        if why is not None:
            lost = why == FOREIGN.format(job=number_of(job))
            reply.send(NotReleased(with_cluster(job, cluster), why, lost))
