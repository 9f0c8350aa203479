"""Cancel Slurm jobs."""

import os
from typing import Dict

from . import files, job_ids, paths, slurm, slurm_commands
from .wire import Request, Talk


def cancel(request: Request, talk: Talk) -> None:
    """Cancel jobs, waiting or running."""
    for cluster, jobs in job_ids.by_cluster(request["jobs"]).items():
        refused: Dict[str, str] = {}
        for some in slurm.chunks(jobs):
            ran = slurm.run(slurm_commands.cancel(some, cluster))
            if not ran.well:
                refused.update(dict.fromkeys(some, f"scancel failed: {ran.words()}"))
        for job in jobs:
            name = job_ids.full(job, cluster)
            if job in refused:
                talk.event("uncancelled", job=name, message=refused[job])
            else:
                _note(request["runs"], job)
                talk.event("cancelled", job=name)


def noted(arrays: str, job: str) -> bool:
    """Whether this task was cancelled from here."""
    return os.path.exists(paths.cancelled(arrays, job))


def _note(runs: str, job: str) -> None:
    """Note a task: one that had not started leaves no trace in Slurm, not even in sacct."""
    if job_ids.whole_of(job) != job:
        path = paths.cancelled(paths.arrays(runs), job)
        files.make_common(runs, os.path.dirname(path))
        with open(path, "w", encoding="utf-8"):
            pass
