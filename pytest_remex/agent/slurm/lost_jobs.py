"""Jobs that Slurm acknowledged and lost in a crash of its own.

LOST asks the user to submit again, so it takes proof: the job's number belongs to another job, or
the accounting has jobs from before and from after it, and not this one.
"""

from typing import Dict, List, Set

from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.slurm import client
from pytest_remex.common.jobs import Job, JobState, number_of

_WHY = "Slurm gave the id {job} out and lost the job: submit it again"


def judge(jobs: List[str], taken: Set[str], since: float, cluster: str) -> Dict[str, Job]:
    """Give, as LOST, the jobs among these that never were; `taken` are numbers of other jobs."""
    proven = set(jobs) & taken
    unproven = [job for job in jobs if job not in taken]
    if unproven:
        proven.update(_not_accounted(unproven, since, cluster))
    return {
        job: Job(job, JobState.LOST, _WHY.format(job=job), source="slurm") for job in sorted(proven)
    }


def _not_accounted(jobs: List[str], since: float, cluster: str) -> List[str]:
    try:
        accounts = client.accounts_of_user(since, cluster)
    except AgentError:
        return []
    numbers = [int(number_of(job)) for job in accounts]
    # a job that the controller lost may have left an account that says PENDING for ever
    known = {job for job, account in accounts.items() if account.word != "PENDING"}
    return [
        job
        for job in jobs
        if numbers and min(numbers) < int(number_of(job)) < max(numbers) and job not in known
    ]
