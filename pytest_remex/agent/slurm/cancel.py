"""Cancel Slurm jobs that are ours, and nobody else's."""

import os
from typing import Dict, List

from pytest_remex.agent import fs
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.slurm import client, command_lines
from pytest_remex.agent.slurm.job_ownership import FOREIGN, Owned
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.jobs import by_cluster, number_of, with_cluster
from pytest_remex.common.protocol import Cancel, Cancelled, NotCancelled

GONE = "Slurm does not list job {job} any more: --remex-status tells what became of it"


def cancel(request: Cancel, reply: Reply) -> None:
    """Cancel jobs, waiting or running; whose they are is looked at right before."""
    runs = request.runs
    for cluster, jobs in by_cluster(request.jobs).items():
        refused = _refused(jobs, runs, cluster)
        refused.update(_cancel([job for job in jobs if job not in refused], cluster))
        for job in jobs:
            name = with_cluster(job, cluster)
            if job in refused:
                reply.send(NotCancelled(name, refused[job]))
            else:
                _note(runs, job)
                reply.send(Cancelled(name))


def noted(arrays: str, job: str) -> bool:
    """Whether this task was cancelled from here."""
    return os.path.exists(paths.cancelled(arrays, job))


def _refused(jobs: List[str], runs: str, cluster: str) -> Dict[str, str]:
    """Give, for jobs whose number is not ours, why they are left alone."""
    try:
        owned = Owned(runs, cluster)
    except AgentError as error:
        return dict.fromkeys(jobs, f"{error}: run the same command again")
    gone = {job: GONE.format(job=job) for job in jobs if not owned.listed(job)}
    others = [job for job in jobs if not owned.ours(job)]
    return {**gone, **{job: FOREIGN.format(job=number_of(job)) for job in others}}


def _cancel(jobs: List[str], cluster: str) -> Dict[str, str]:
    """Cancel jobs; gives, for those that were not cancelled, what Slurm said."""
    said: Dict[str, str] = {}
    for some in client.chunks(jobs):
        ran = client.run(command_lines.cancel(some, cluster))
        if not ran.well:
            said.update(dict.fromkeys(some, f"scancel failed: {ran.words()}"))
    return said


def _note(runs: str, job: str) -> None:
    """Note a task: one that had not started leaves no trace in Slurm, not even in sacct."""
    if number_of(job) != job:
        path = paths.cancelled(paths.arrays(runs), job)
        fs.make_common(runs, os.path.dirname(path))
        with open(path, "w", encoding="utf-8"):
            pass
