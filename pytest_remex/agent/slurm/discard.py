"""End submissions to Slurm that an interrupted launch left: a job that is held is cancelled."""

from typing import Dict, List, Set, Tuple

from pytest_remex.agent.discard import answer, refuse, submissions_to_end
from pytest_remex.agent.errors import AgentError, UnreadableError
from pytest_remex.agent.sbatch_result import DOUBT
from pytest_remex.agent.slurm import groups
from pytest_remex.agent.slurm.client import SlurmClient, chunks
from pytest_remex.agent.slurm.ownership import is_folder
from pytest_remex.agent.slurm.reconcile import Timeouts, resolve
from pytest_remex.agent.slurm.submit import PATIENCE
from pytest_remex.agent.submissions import LocatedSubmission
from pytest_remex.agent.wire import Reply
from pytest_remex.common.claims import Discard
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import JobId, number_of
from pytest_remex.common.redact import redact

SubmittedJob = Tuple[LocatedSubmission, str]
"""A submission, and the job that it became."""


def discard(request: Discard, reply: Reply, slurm: SlurmClient) -> None:
    """End submissions: those without an attempt, those in doubt, and those with a held job."""
    jobs: List[SubmittedJob] = []
    doubtful: List[LocatedSubmission] = []
    for submission in submissions_to_end(request, reply, groups.scripts_of):
        reply.raise_if_disconnected()
        try:
            made = submission.attempts.read()
            job = submission.attempts.settled(made)
            in_doubt = made[-1].result.kind == DOUBT if made else submission.in_doubt
            if job is not None:
                jobs.append((submission, job))
            elif in_doubt:
                doubtful.append(submission)
            else:
                refuse(submission, request.why, reply)
        except UnreadableError as error:
            answer(submission, reply, message=str(error))
    if doubtful:
        jobs += _resolved(slurm, doubtful, request.why, reply)
    _end(slurm, jobs, request.why, reply)


def _resolved(
    slurm: SlurmClient, doubtful: List[LocatedSubmission], why: str, reply: Reply
) -> List[SubmittedJob]:
    """Find out what became of attempts in doubt; return those that became a job."""
    timeouts = Timeouts(PATIENCE, min(slurm.message_timeout(), PATIENCE))
    try:
        found, without = resolve(slurm, doubtful, reply, timeouts)
    except AgentError as error:
        for submission in doubtful:
            answer(submission, reply, message=redact(str(error)))
        return []
    for submission in without:
        refuse(submission, why, reply)
    return [
        (submission, found[submission.key]) for submission in doubtful if submission.key in found
    ]


def _end(slurm: SlurmClient, jobs: List[SubmittedJob], why: str, reply: Reply) -> None:
    """Cancel the jobs that are held and ours, and answer for all runs."""
    for submission, job in jobs:
        groups.note_jobs(submission, job)
    for cluster, some in grouped((JobId.parse(job[1]).cluster, job) for job in jobs).items():
        reply.raise_if_disconnected()
        ended = _cancelled(slurm, some, cluster)
        for submission, job in some:
            if number_of(job) not in ended:
                answer(submission, reply, submission.jobs_of_runs(job))
                continue
            for attempt in submission.attempts.read():
                submission.attempts.refuse(attempt.number, why)
            answer(submission, reply)


def _cancelled(slurm: SlurmClient, jobs: List[SubmittedJob], cluster: str) -> List[str]:
    """Cancel those jobs on a cluster that are held; return the numbers that Slurm says ended so."""
    try:
        held = [
            number for number, words in _words(slurm, jobs, cluster).items() if words == {"HELD"}
        ]
        accepted = [slurm.cancel_held(some, cluster) for some in chunks(held)]
        after = _words(slurm, jobs, cluster) if held else {}
    except AgentError:
        return []
    return [number for number in held if all(accepted) and after[number] <= {"CANCELLED"}]


def _words(slurm: SlurmClient, jobs: List[SubmittedJob], cluster: str) -> Dict[str, Set[str]]:
    """Return the states of jobs by number, as far as they start where we submitted them."""
    folders = {number_of(job): submission.folder for submission, job in jobs}
    found: Dict[str, Set[str]] = {number: set() for number in folders}
    for row in slurm.listing(cluster, folders):
        number = number_of(row.id)
        if number in folders and is_folder(row.work_dir, folders[number]):
            found[number].add("HELD" if row.held_by_user else row.word)
    return found
