"""Release and cancel Slurm jobs, but only those that are ours."""

import os
from typing import Dict, Iterable, List, NamedTuple, Set, Tuple

from pytest_remex.agent import attempts, fs, process
from pytest_remex.agent.errors import AgentError, UnreadableError
from pytest_remex.agent.slurm import commands, parse
from pytest_remex.agent.slurm.client import SlurmClient, chunks
from pytest_remex.agent.slurm.ownership import JobListing, LocatedJob, is_folder, locate
from pytest_remex.agent.slurm.parse import SqueueRow
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.jobs import by_array, number_of
from pytest_remex.common.protocol import (
    Cancel,
    Cancelled,
    NotCancelled,
    NotReleased,
    OrphansCancelled,
    Release,
    Released,
)

_WIDTH = 4
_FEWEST = 50
"""The least number of jobs for one scontrol, which contacts the controller for each in turn."""
_MOST = 50
"""The most jobs that scontrol is asked about because squeue does not list them."""
_LOST = "Slurm lost job {} and gave its id to another job: --remex-retry submits it again"
_GONE = "Slurm no longer lists job {}: --remex-status shows what became of it"


class Refusal(NamedTuple):
    """Why a job was not released or cancelled; `lost`: its id now belongs to another job."""

    message: str
    lost: bool = False


def release(request: Release, reply: Reply, slurm: SlurmClient) -> None:
    """Release our jobs that are held by the user; jobs no longer held count as released."""
    for cluster, jobs in locate(request.runs, request.jobs).items():
        refused = release_held(slurm, jobs, JobListing.ask(slurm, cluster, jobs), reply)
        reply.send(Released([job.id for job in jobs if job.number not in refused]))
        for job in jobs:
            refusal = refused.get(job.number)
            if refusal is not None:
                reply.send(NotReleased(job.id, refusal.message, refusal.lost))


def release_held(
    slurm: SlurmClient, jobs: List[LocatedJob], listing: JobListing, reply: Reply
) -> Dict[str, Refusal]:
    """Release those jobs on one cluster that their user holds.

    A listing may be older than a job: the controller is asked about jobs missing from it.

    Returns:
        By job number, why a job was not released, or why that is unknown.

    """
    refused = {job.number: _lost(job) for job in jobs if listing.is_another(job)}
    left = {job.number: job for job in jobs if job.number not in refused}
    held = {number for number, job in left.items() if listing.is_held(job)}
    unlisted = [job for job in left.values() if not listing.lists(job)]
    held |= _look_up(slurm, unlisted, refused)
    # scontrol waits for a crashed controller, which may come back with other jobs
    reply.raise_if_disconnected()
    refused.update(_release(slurm, [left[number] for number in sorted(held)]))
    return refused


def cancel(request: Cancel, reply: Reply, slurm: SlurmClient) -> None:
    """Cancel waiting or running jobs, after checking that their ids are still ours."""
    for cluster, jobs in locate(request.runs, request.jobs).items():
        refused = _not_ours(slurm, jobs, cluster)
        ours = [job.job for job in jobs if job.job not in refused]
        refused.update(_cancel(slurm, ours, cluster))
        for job in jobs:
            refusal = refused.get(job.job)
            if refusal is None:
                _note_cancelled(job)
                reply.send(Cancelled(job.id))
            else:
                whose = f"; it belongs to {job.owner}" if job.owner else ""
                reply.send(NotCancelled(job.id, refusal.message + whose))


def was_cancelled(job: LocatedJob) -> bool:
    """Return whether pytest-remex cancelled a task."""
    return os.path.exists(paths.cancelled(job.runs, job.job))


def orphaned_jobs(rows: Iterable[SqueueRow], runs: str, asked: List[str]) -> List[str]:
    """Return our held duplicates of runs' jobs, which Slurm accepted late.

    Args:
        rows: squeue's rows on one cluster.
        runs: The runs folder.
        asked: The run directories to consider, in addition to the folders of groups.

    """
    above = paths.groups(runs)
    folders = [*asked, *(os.path.join(above, name) for name in fs.listing(above))]
    known = {os.path.basename(folder): folder for folder in folders}
    # each of our jobs has a comment; a job that the user submitted by hand rarely has one
    held = [row for row in rows if row.held_by_user and row.comment]
    orphans = {
        number_of(row.id)
        for row in held
        if _is_orphan(row, known.get(os.path.basename(row.work_dir), ""))
    }
    return sorted(orphans, key=int)


def cancel_orphans(slurm: SlurmClient, orphans: List[str], cluster: str, reply: Reply) -> None:
    """Cancel orphaned jobs on a cluster, and report them."""
    for some in chunks(orphans):
        slurm.cancel_held(some, cluster)
        reply.send(OrphansCancelled(some))


def _lost(job: LocatedJob) -> Refusal:
    return Refusal(_LOST.format(job.number), lost=True)


def _look_up(slurm: SlurmClient, jobs: List[LocatedJob], refused: Dict[str, Refusal]) -> Set[str]:
    """Ask the controller about jobs; return the numbers of held ones, and add refusals.

    A job that the controller does not know is not held: a query tells what became of it.
    """
    held: Set[str] = set()
    texts, failure = _shown(slurm, jobs)
    for job in jobs:
        text = texts.get(job.number)
        if text is None:
            refused[job.number] = Refusal(failure)
        elif text and not job.is_shown(text):
            refused[job.number] = _lost(job)
        elif parse.shows_held(text):
            held.add(job.number)
    return held


def _shown(slurm: SlurmClient, jobs: Iterable[LocatedJob]) -> Tuple[Dict[str, str], str]:
    """Return the controller's descriptions of jobs by number, and why some are missing.

    If it does not answer, it is asked about no further job: each of them may take minutes.
    """
    texts: Dict[str, str] = {}

    def ask(job: LocatedJob) -> None:
        texts[job.number] = slurm.shown(job.number, job.cluster)

    try:
        process.in_parallel({job.number: job for job in jobs}.values(), ask, _WIDTH)
    except AgentError as error:
        return texts, f"{error}: run the same command again"
    return texts, ""


def _release(slurm: SlurmClient, jobs: List[LocatedJob]) -> Dict[str, Refusal]:
    """Release jobs on one cluster; return, by number, why some may still be held."""
    failed: Dict[str, Refusal] = {}

    def release_some(numbers: List[str]) -> None:
        ran = slurm.run(commands.release(numbers, jobs[0].cluster))
        if not ran.ok:
            of = f"of {len(numbers)} jobs " if len(numbers) > 1 else ""
            refusal = Refusal(f"scontrol release {of}failed: {ran.message()}")
            failed.update(dict.fromkeys(numbers, refusal))

    process.in_parallel(_shares([job.number for job in jobs]), release_some, _WIDTH)
    unanswered: Dict[str, Refusal] = {}
    # if scontrol fails for one job, it fails for all: ask the controller which one it is
    held = _look_up(slurm, [job for job in jobs if job.number in failed], unanswered)
    return {number: why for number, why in failed.items() if number in held or number in unanswered}


def _shares(numbers: List[str]) -> List[List[str]]:
    size = max(_FEWEST, -(-len(numbers) // _WIDTH))
    shares = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    return [some for share in shares for some in chunks(share)]


def _not_ours(slurm: SlurmClient, jobs: List[LocatedJob], cluster: str) -> Dict[str, Refusal]:
    """Return, by id, why a job must not be cancelled: its id is not ours, or not known.

    A listing may be older than a job: the controller is asked about some that are missing from it.
    """
    try:
        listing = JobListing.ask(slurm, cluster)
    except AgentError as error:
        why = Refusal(f"{error}: run the same command again")
        return {job.job: why for job in jobs}
    refused = {job.job: _lost(job) for job in jobs if listing.is_another(job)}
    unlisted = {job.number: job for job in jobs if not listing.lists(job)}
    texts, failure = _shown(slurm, list(unlisted.values())[:_MOST])
    for job in jobs:
        text = texts.get(job.number, "")
        if job.number in unlisted and not job.is_shown(text):
            gone = Refusal(failure or _GONE.format(job.job))
            refused[job.job] = _lost(job) if text else gone
    return refused


def _cancel(slurm: SlurmClient, jobs: List[str], cluster: str) -> Dict[str, Refusal]:
    """Cancel jobs, the tasks of an array by one request; return why some were not cancelled."""
    failed: Dict[str, Refusal] = {}
    words = by_array(jobs)
    for some in chunks(list(words)):
        ran = slurm.run(commands.cancel(some, cluster))
        if not ran.ok:
            refusal = Refusal(f"scancel failed: {ran.message()}")
            failed.update((job, refusal) for word in some for job in words[word])
    return failed


def _note_cancelled(job: LocatedJob) -> None:
    """Record a task as cancelled: if it had not started, Slurm keeps no trace of it."""
    if job.number != job.job:
        path = paths.cancelled(job.runs, job.job)
        fs.make_common(job.runs, os.path.dirname(path))
        fs.touch(path)


def _is_orphan(row: SqueueRow, folder: str) -> bool:
    """Return whether a held job is ours, started in this folder, and belongs to no run."""
    is_marked = row.comment.startswith("remex:")
    if not folder or not is_folder(row.work_dir, folder):
        return False
    try:
        return attempts.is_orphan(paths.remex(folder), number_of(row.id), is_marked=is_marked)
    except UnreadableError:
        return False
