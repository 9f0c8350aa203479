"""Release and cancel Slurm jobs that are ours, and nobody else's."""

import os
from typing import Dict, Iterable, List, NamedTuple, Set

from pytest_remex.agent import fs, process
from pytest_remex.agent.errors import AgentError, UnreadableError
from pytest_remex.agent.slurm import attempts, client, commands, parse
from pytest_remex.agent.slurm.ownership import Listing, LocatedJob, locate, spellings
from pytest_remex.agent.slurm.parse import SqueueRow
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.jobs import number_of
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
"""Jobs that one scontrol takes at least: it asks the controller for each of them in turn."""
_LOST = "Slurm lost job {}, and gave its number to another's: --remex-retry submits it again"
_GONE = "Slurm does not list job {} any more: --remex-status tells what became of it"


class Refusal(NamedTuple):
    """Why a job was left as it is; `lost`: its number is another job's by now."""

    message: str
    lost: bool = False


def release(request: Release, reply: Reply) -> None:
    """Release what is held by the user and ours; what is not held any more counts as released."""
    for cluster, jobs in locate(request.runs, request.jobs).items():
        refused = release_held(jobs, Listing.ask(cluster), reply)
        reply.send(Released([job.id for job in jobs if job.number not in refused]))
        for job in jobs:
            refusal = refused.get(job.number)
            if refusal is not None:
                reply.send(NotReleased(job.id, refusal.message, refusal.lost))


def release_held(jobs: List[LocatedJob], listing: Listing, reply: Reply) -> Dict[str, Refusal]:
    """Release those jobs of one cluster that their user holds.

    A listing may be older than a job: what it does not have is looked up in the controller.

    Returns:
        Why jobs are not released, or not known to be, by their numbers.

    """
    refused = {job.number: _lost(job) for job in jobs if listing.is_another(job)}
    left = {job.number: job for job in jobs if job.number not in refused}
    held = {number for number, job in left.items() if listing.is_held(job)}
    unlisted = [job for job in left.values() if not listing.lists(job)]
    held |= _look_up(unlisted, refused)
    # scontrol waits for a controller that has crashed, and comes back with other jobs
    reply.raise_if_gone()
    refused.update(_release([left[number] for number in sorted(held)]))
    return refused


def cancel(request: Cancel, reply: Reply) -> None:
    """Cancel jobs, waiting or running; whose they are is looked at right before."""
    for cluster, jobs in locate(request.runs, request.jobs).items():
        refused = _not_ours(jobs, cluster)
        ours = [job.job for job in jobs if job.job not in refused]
        refused.update(_cancel(ours, cluster))
        for job in jobs:
            refusal = refused.get(job.job)
            if refusal is None:
                _note_cancelled(job)
                reply.send(Cancelled(job.id))
            else:
                reply.send(NotCancelled(job.id, refusal.message))


def was_cancelled(job: LocatedJob) -> bool:
    """Return whether a task was cancelled from here."""
    return os.path.exists(paths.cancelled(job.runs, job.job))


def cancel_orphans(
    rows: Iterable[SqueueRow], cluster: str, runs: str, asked: List[str], reply: Reply
) -> None:
    """Cancel our held jobs that a late acceptance left behind beside the one that counts.

    Args:
        rows: What squeue lists on the cluster.
        cluster: The cluster's name, empty for the default one.
        runs: The runs folder.
        asked: The run directories that may be looked at, besides the folders of groups.
        reply: Told which jobs were cancelled.

    """
    above = paths.groups(runs)
    folders = [*asked, *(os.path.join(above, name) for name in fs.listing(above))]
    notes = {name: paths.remex(folder) for folder in folders for name in spellings(folder)}
    # each of ours has a comment, whosever it is; a job that the user made by hand seldom has one
    held = [row for row in rows if row.held_by_user and row.comment]
    orphans = {number_of(row.id) for row in held if _is_orphan(row, notes.get(row.work_dir, ""))}
    for some in client.chunks(sorted(orphans, key=int)):
        client.run(commands.cancel_held(some, cluster))
        reply.send(OrphansCancelled(some))


def _lost(job: LocatedJob) -> Refusal:
    return Refusal(_LOST.format(job.number), lost=True)


def _look_up(jobs: List[LocatedJob], refused: Dict[str, Refusal]) -> Set[str]:
    """Ask the controller for jobs; return the numbers of the held, and add refusals.

    One that the controller does not know is not held by anybody: its state tells what became of it.
    """
    held: Set[str] = set()

    def ask(job: LocatedJob) -> None:
        try:
            text = client.shown(job.number, job.cluster)
        except AgentError as error:
            refused[job.number] = Refusal(f"{error}: run the same command again")
            return
        if text and not parse.shows_folder(text, job.work_dirs()):
            refused[job.number] = _lost(job)
        elif parse.shows_held(text):
            held.add(job.number)

    process.in_parallel(jobs, ask, _WIDTH)
    return held


def _release(jobs: List[LocatedJob]) -> Dict[str, Refusal]:
    """Release jobs of one cluster; return, by number, why some are held all the same."""
    failed: Dict[str, Refusal] = {}

    def let_go(numbers: List[str]) -> None:
        ran = client.run(commands.release(numbers, jobs[0].cluster))
        if not ran.ok:
            refusal = Refusal(f"scontrol release failed: {ran.message()}")
            failed.update(dict.fromkeys(numbers, refusal))

    process.in_parallel(_shares([job.number for job in jobs]), let_go, _WIDTH)
    unanswered: Dict[str, Refusal] = {}
    # scontrol fails for all where it does for one: the controller tells which that is
    held = _look_up([job for job in jobs if job.number in failed], unanswered)
    return {number: why for number, why in failed.items() if number in held or number in unanswered}


def _shares(numbers: List[str]) -> List[List[str]]:
    size = max(_FEWEST, -(-len(numbers) // _WIDTH))
    shares = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    return [some for share in shares for some in client.chunks(share)]


def _not_ours(jobs: List[LocatedJob], cluster: str) -> Dict[str, Refusal]:
    """Return, by id, why jobs whose number is not ours, or not known, are left alone."""
    try:
        listing = Listing.ask(cluster)
    except AgentError as error:
        why = Refusal(f"{error}: run the same command again")
        return {job.job: why for job in jobs}
    gone = {job.job: Refusal(_GONE.format(job.job)) for job in jobs if not listing.lists(job)}
    return {**gone, **{job.job: _lost(job) for job in jobs if listing.is_another(job)}}


def _cancel(jobs: List[str], cluster: str) -> Dict[str, Refusal]:
    """Cancel jobs; return why some were not cancelled."""
    failed: Dict[str, Refusal] = {}
    for some in client.chunks(jobs):
        ran = client.run(commands.cancel(some, cluster))
        if not ran.ok:
            failed.update(dict.fromkeys(some, Refusal(f"scancel failed: {ran.message()}")))
    return failed


def _note_cancelled(job: LocatedJob) -> None:
    """Note a task: one that had not started leaves no trace in Slurm, not even in sacct."""
    if job.number != job.job:
        path = paths.cancelled(job.runs, job.job)
        fs.make_common(job.runs, os.path.dirname(path))
        fs.touch(path)


def _is_orphan(row: SqueueRow, notes: str) -> bool:
    """Return whether a held job in the folder of these notes is ours, and no run counts on it."""
    try:
        return bool(notes) and attempts.is_orphan(notes, number_of(row.id))
    except UnreadableError:
        return False
