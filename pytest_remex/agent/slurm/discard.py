"""End the submission of runs that an interrupted launch left, for every client.

The run directory is the lock: a run that has none gets an empty one, so that no client can place
it. Then the note of an attempt to submit is created, as refused: only one client can create it. A
job that is held is cancelled.
"""

import contextlib
import itertools
import os
import stat
from typing import Dict, List, Optional, Set, Tuple

from pytest_remex.agent import fs, record_copies
from pytest_remex.agent.errors import AgentError, UnreadableError
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.slurm import attempts, client, commands, groups
from pytest_remex.agent.slurm.ownership import spellings
from pytest_remex.agent.slurm.reconcile import Timeouts, resolve
from pytest_remex.agent.slurm.sbatch import DOUBT
from pytest_remex.agent.slurm.submit import PATIENCE
from pytest_remex.agent.slurm.units import Scripts, units_of
from pytest_remex.agent.submissions import LocatedSubmission, submissions_of
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.claims import Discard, Discarded, NotDiscarded
from pytest_remex.common.files import remove_tree
from pytest_remex.common.jobs import JobId, number_of
from pytest_remex.common.parts import Placement
from pytest_remex.common.paths import RunNote
from pytest_remex.common.redact import redact

SubmittedUnit = Tuple[LocatedSubmission, str]
"""A submission, and the job that it became."""
BUSY = "another client submits it: run the same command again"


def discard(request: Discard, reply: Reply) -> None:
    """End submissions: those without an attempt, those in doubt, and those with a held job."""
    jobs: List[SubmittedUnit] = []
    doubtful: List[LocatedSubmission] = []
    for unit in units_to_end(request, reply, groups.scripts_of):
        reply.raise_if_disconnected()
        try:
            made = attempts.read(unit.notes, unit.job_number)
            job = attempts.settled(unit.notes, unit.job_number, made)
            in_doubt = made[-1].result.kind == DOUBT if made else unit.in_doubt
            if job is not None:
                jobs.append((unit, job))
            elif in_doubt:
                doubtful.append(unit)
            else:
                refuse(unit, request.why, reply)
        except UnreadableError as error:
            answer(unit, reply, message=str(error))
    if doubtful:
        jobs += _resolved(doubtful, request.why, reply)
    _end(jobs, request.why, reply)


def units_to_end(request: Discard, reply: Reply, scripts: Scripts) -> List[LocatedSubmission]:
    """Make the run directories that do not exist, and answer for those that are not ours.

    Returns:
        The submissions of the others.

    """
    record_copies.keep(request.runs, request.part)
    ours = {run.directory for run in request.discarded if _is_ours(request, run, reply)}
    asked = [each for each in submissions_of(request) if ours.intersection(each.directories)]
    units, faults = units_of(asked, scripts)
    for fault in faults:
        for directory in fault.directories:
            reply.send(NotDiscarded(directory, message=fault.message))
    return units


def refuse(unit: LocatedSubmission, why: str, reply: Reply) -> None:
    """Create the note of the next attempt, as refused, so that nobody makes it; and answer."""
    made = attempts.read(unit.notes, unit.job_number)
    number = made[-1].number + 1 if made else 1
    note = attempts.begin(unit.notes, unit.job_number, number)
    if note is not None:
        os.close(note)
        attempts.refuse(unit.notes, unit.job_number, number, why)
    answer(unit, reply, message=BUSY if note is None else "")


def answer(
    unit: LocatedSubmission, reply: Reply, jobs: Optional[Dict[str, str]] = None, message: str = ""
) -> None:
    """Answer for the runs of a unit: they have `jobs`, or a `message` says what is not known.

    With neither they have no job and can get none: their directories are emptied.
    """
    for directory in itertools.chain(*unit.asked.values()):
        if jobs or message:
            reply.send(NotDiscarded(directory, (jobs or {}).get(directory, ""), message))
            continue
        run = os.path.join(unit.runs, directory)
        if unit.job_number == 1:
            RunFiles(run).remove(paths.JOB)
            with contextlib.suppress(OSError):  # it only takes space
                _empty(run)
        reply.send(Discarded(directory))


def _is_ours(request: Discard, run: Placement, reply: Reply) -> bool:
    """Return whether a run directory is ours, after making it if it does not exist."""
    path = os.path.join(request.runs, os.path.basename(run.directory))
    if not os.path.lexists(path):
        note = RunNote(request.launch, request.token, run.sha, run.parent, run.tree)
        fs.occupy(request.runs, run.directory, note)
    try:
        found = RunFiles(path).load(RunNote, paths.RUN) or RunNote()
    except UnreadableError as error:
        reply.send(NotDiscarded(run.directory, message=str(error)))
        return False
    if (found.token, found.sha) == (request.token, run.sha):
        return True
    reply.send(Discarded(run.directory))
    return False


def _empty(run: str) -> None:
    """Remove the files of a run that never had a job; what says that stays."""
    for name in os.listdir(run):
        path = os.path.join(run, name)
        if name != paths.REMEX:
            is_folder = stat.S_ISDIR(os.lstat(path).st_mode)
            (remove_tree if is_folder else os.unlink)(path)


def _resolved(doubtful: List[LocatedSubmission], why: str, reply: Reply) -> List[SubmittedUnit]:
    """Find out what became of attempts in doubt; return those that became a job."""
    timeouts = Timeouts(PATIENCE, min(client.message_timeout(), PATIENCE))
    try:
        found, without = resolve(doubtful, reply, timeouts)
    except AgentError as error:
        for unit in doubtful:
            answer(unit, reply, message=redact(str(error)))
        return []
    for unit in without:
        refuse(unit, why, reply)
    return [(unit, found[unit.key]) for unit in doubtful if unit.key in found]


def _end(jobs: List[SubmittedUnit], why: str, reply: Reply) -> None:
    """Cancel the jobs that are held and ours, and answer for all runs."""
    by_cluster: Dict[str, List[SubmittedUnit]] = {}
    for unit, job in jobs:
        groups.note_jobs(unit, job)
        by_cluster.setdefault(JobId.parse(job).cluster, []).append((unit, job))
    for cluster, some in by_cluster.items():
        reply.raise_if_disconnected()
        ended = _cancelled(some, cluster)
        for unit, job in some:
            if number_of(job) not in ended:
                answer(unit, reply, unit.jobs_of_runs(job))
                continue
            for attempt in attempts.read(unit.notes, unit.job_number):
                attempts.refuse(unit.notes, unit.job_number, attempt.number, why)
            answer(unit, reply)


def _cancelled(jobs: List[SubmittedUnit], cluster: str) -> List[str]:
    """Cancel those jobs on a cluster that are held; return the numbers that Slurm says ended so."""
    try:
        held = [number for number, words in _words(jobs, cluster).items() if words == {"HELD"}]
        ran = [client.run(commands.cancel_held(some, cluster)) for some in client.chunks(held)]
        after = _words(jobs, cluster) if held else {}
    except AgentError:
        return []
    is_done = all(each.ok for each in ran)
    return [number for number in held if is_done and after[number] <= {"CANCELLED"}]


def _words(jobs: List[SubmittedUnit], cluster: str) -> Dict[str, Set[str]]:
    """Return the states of jobs by number, as far as they start where we submitted them."""
    folders = {number_of(job): spellings(unit.folder) for unit, job in jobs}
    found: Dict[str, Set[str]] = {number: set() for number in folders}
    for row in client.listing(cluster, folders):
        number = number_of(row.id)
        if row.work_dir in folders.get(number, ()):
            found[number].add("HELD" if row.held_by_user else row.word)
    return found
