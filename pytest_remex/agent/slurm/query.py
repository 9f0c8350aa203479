"""Tell the states of runs on a Slurm cluster, from whichever source knows.

A source that failed is no answer: the state stays UNKNOWN. LOST asks the user to submit again, so
it takes proof: the job's number belongs to another job, or the accounting has jobs from before and
from after it, and not this one.
"""

from typing import List

from pytest_remex.agent.errors import AgentError, UnreadableError
from pytest_remex.agent.slurm import client, control, groups, sources
from pytest_remex.agent.slurm.ownership import LocatedJob, locate
from pytest_remex.agent.slurm.sources import Answers
from pytest_remex.agent.wire import Reply
from pytest_remex.common.jobs import Job, JobId, JobState, number_of
from pytest_remex.common.protocol import Query, RunState

_LOST = "Slurm gave the id {} out and lost the job: submit it again"


def query(request: Query, reply: Reply) -> None:
    """Tell each run's job."""
    for cluster, asked in locate(request.runs, request.queried).items():
        answers = Answers()
        listing = sources.ask_squeue(asked, cluster, answers)
        _ask_others(asked, cluster, answers)
        for one in asked:
            job = _own_state(one, answers.jobs[one.directory])._replace(id=one.id)
            sources.remember(one.path, job)
            reply.send(RunState(one.directory, job))
        if request.cancel_orphans:
            folders = [one.path for one in asked]
            control.cancel_orphans(listing.rows, cluster, request.runs, folders, reply)


def _ask_others(asked: List[LocatedJob], cluster: str, answers: Answers) -> None:
    sources.ask_sacct(asked, cluster, answers)
    sources.ask_scontrol(asked, cluster, answers)
    sources.ask_run_directories(asked, answers)
    if not answers.failures:
        _find_lost(answers.unknown(asked), cluster, answers)
    failures = "; ".join(answers.failures)
    for one in answers.unknown(asked):
        why = failures or answers.hints.get(one.directory) or f"no source knows job {one.id}"
        answers.jobs[one.directory] = Job(one.job, JobState.UNKNOWN, why)


def _own_state(one: LocatedJob, job: Job) -> Job:
    """Return a run's own state where it shares its job with the other runs of a pack."""
    if JobId.parse(one.job).task:
        return job
    try:
        return groups.job_of_member(job, one.path) if groups.pack_of(one.path) else job
    except UnreadableError as error:
        if one.is_packed():
            return Job(one.job, JobState.UNKNOWN, str(error))
        return job


def _find_lost(asked: List[LocatedJob], cluster: str, answers: Answers) -> None:
    lost = [one for one in asked if one.directory in answers.reused]
    unproven = [one for one in asked if one.directory not in answers.reused]
    for one in [*lost, *_not_accounted(unproven, cluster)]:
        job = Job(one.job, JobState.LOST, _LOST.format(one.job), source="slurm")
        answers.jobs[one.directory] = job


def _not_accounted(asked: List[LocatedJob], cluster: str) -> List[LocatedJob]:
    if not asked:
        return []
    try:
        accounts = client.accounts_of_user(min(one.earliest for one in asked), cluster)
    except AgentError:
        return []
    numbers = [int(number_of(job)) for job in accounts]
    if not numbers:
        return []
    # a job that the controller lost may have left an account that says PENDING for ever
    known = {job for job, account in accounts.items() if account.word != "PENDING"}
    first, last = min(numbers), max(numbers)
    return [one for one in asked if first < int(one.number) < last and one.job not in known]
