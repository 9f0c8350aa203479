"""End the submission of runs that an interrupted launch left, for every client.

The run directory is the lock: a run that has none gets an empty one, so that no client can place
it. Then the note of an attempt to submit is created, as refused: only one client can create it.
"""

import contextlib
import itertools
import os
import stat
from typing import Dict, List, Optional

from pytest_remex.agent import fs, record_copies
from pytest_remex.agent.errors import UnreadableError
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.submissions import LocatedSubmission, submissions_of
from pytest_remex.agent.units import Scripts, units_of
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.claims import Discard, Discarded, NotDiscarded
from pytest_remex.common.files import remove_tree
from pytest_remex.common.parts import Placement
from pytest_remex.common.paths import RunNote

BUSY = "another client submits it: run the same command again"


def submissions_to_end(request: Discard, reply: Reply, scripts: Scripts) -> List[LocatedSubmission]:
    """Make the run directories that do not exist, and answer for those that are not ours.

    Returns:
        The submissions of the others.

    """
    record_copies.keep(request.runs, request.part)
    ours = {run.directory for run in request.discarded if _is_ours(request, run, reply)}
    asked = [each for each in submissions_of(request) if ours.intersection(each.directories)]
    submissions, faults = units_of(asked, scripts)
    for fault in faults:
        for directory in fault.directories:
            reply.send(NotDiscarded(directory, message=fault.message))
    return submissions


def refuse(submission: LocatedSubmission, why: str, reply: Reply) -> None:
    """Create the note of the next attempt, as refused, so that nobody makes it; and answer."""
    made = submission.attempts.read()
    number = made[-1].number + 1 if made else 1
    note = submission.attempts.begin(number)
    if note is not None:
        os.close(note)
        submission.attempts.refuse(number, why)
    answer(submission, reply, message=BUSY if note is None else "")


def answer(
    submission: LocatedSubmission,
    reply: Reply,
    jobs: Optional[Dict[str, str]] = None,
    message: str = "",
) -> None:
    """Answer for the runs of a submission: they have `jobs`, or a `message` says what is not known.

    With neither they have no job and can get none: their directories are emptied.
    """
    for directory in itertools.chain(*submission.asked.values()):
        if jobs or message:
            reply.send(NotDiscarded(directory, (jobs or {}).get(directory, ""), message))
            continue
        run = os.path.join(submission.runs, directory)
        if submission.job_number == 1:
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
