"""Jobs that Slurm acknowledged and lost in a crash of its own: no source has ever known them."""

from typing import Dict, List

from . import job_ids, slurm
from .faults import AgentError
from .jobs import Job

_WHY = "Slurm gave this id out and knows nothing of it: {job} was lost; submit it again"


def judge(jobs: List[str], since: float, cluster: str) -> Dict[str, Job]:
    """Give, as LOST, the jobs among these that the accounting positively never had.

    That takes accounts of jobs from before and from after: it worked then, and has caught up.
    """
    try:
        known = slurm.accounts_of_user(since, cluster)
    except AgentError:
        return {}
    numbers = [int(job_ids.whole_of(job)) for job in known]
    live = {job for job, account in known.items() if account.word == "PENDING"}
    found = {}
    for job in jobs:
        number = int(job_ids.whole_of(job))
        between = numbers and min(numbers) < number < max(numbers)
        if between and (job not in known or job in live):
            found[job] = Job(job, "LOST", _WHY.format(job=job), source="sacct")
    return found
