"""Compare what sbatch printed with what Slurm has.

`verify` checks, once for a whole batch, the jobs that sbatch has just reported: a site's wrapper or
job_submit plugin may print any number and exit with 0, or turn a job into an array. While a job is
held, both can still be corrected. `resolve` finds out what became of attempts in doubt: it asks
Slurm, twice, for jobs in their folders.
"""

import contextlib
import os
import signal
import tempfile
import time
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from pytest_remex.agent import attempts
from pytest_remex.agent.attempts import Attempt
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.sbatch_result import DOUBT, REJECTED, SbatchResult
from pytest_remex.agent.slurm import commands, parse, sbatch
from pytest_remex.agent.slurm.client import NoAccountingError, SlurmClient
from pytest_remex.agent.slurm.ownership import is_folder
from pytest_remex.agent.slurm.parse import SqueueRow
from pytest_remex.agent.submissions import LocatedSubmission
from pytest_remex.agent.wire import Reply
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import JobId, JobState, by_cluster, number_of, with_cluster

LOOK = 0.5
"""Seconds between reads of notes that another agent may be writing."""
AGE = 60.0
"""Seconds for which the controller certainly remembers a cancelled job."""


UNWANTED = (
    "Slurm made {got} instead of {wanted} (job {job}, cancelled): find what adds or changes"
    " --array, such as a site's sbatch wrapper or job_submit plugin, or an alias of sbatch"
)
ELSEWHERE = (
    "Slurm would start job {job} in {got} instead of {wanted} (cancelled): find what changes the"
    " working directory, such as a site's job_submit plugin or sbatch wrapper"
)


class ReportedJob(NamedTuple):
    """The job of an attempt: as sbatch reported it seconds ago, or `found` in Slurm."""

    submission: LocatedSubmission
    attempt: int
    job: str
    found: bool = False


class Timeouts(NamedTuple):
    """A request's time limits: seconds for one sbatch, and for Slurm to accept it late."""

    patience: float
    settle: float


class PossibleJob(NamedTuple):
    """A job that may be a submission's; `id` names its cluster, and the array if it is a task."""

    id: str
    comment: str
    work_dir: str
    held: bool
    ended: bool


class Resolution(NamedTuple):
    """The jobs of submissions that were in doubt, by key; `again` are those without a trace."""

    jobs: Dict[str, str]
    again: List[LocatedSubmission]


def verify(
    slurm: SlurmClient, submitted: List[ReportedJob]
) -> Iterator[Tuple[LocatedSubmission, SbatchResult]]:
    """Yield the submissions whose job is not what sbatch reported, with their new results.

    The notes are updated. If Slurm does not answer, sbatch is trusted.
    """
    clusters = grouped((JobId.parse(one.job).cluster, one) for one in submitted)
    for cluster, some in clusters.items():
        with contextlib.suppress(AgentError):
            yield from _verify_on(slurm, cluster, some)


def _verify_on(
    slurm: SlurmClient, cluster: str, submitted: List[ReportedJob]
) -> Iterator[Tuple[LocatedSubmission, SbatchResult]]:
    rows: Dict[str, List[SqueueRow]] = {JobId.parse(one.job).on_cluster: [] for one in submitted}
    for row in slurm.listing(cluster, rows):
        rows.setdefault(number_of(row.id), []).append(row)
    found = [(one, rows[JobId.parse(one.job).on_cluster]) for one in submitted]
    # those last that are not listed: the controller is asked about each, until it does not answer
    for one, its_rows in sorted(found, key=lambda pair: not pair[1]):
        result = _check(slurm, one, its_rows)
        if result is not None:
            yield one.submission, result


def _check(
    slurm: SlurmClient, submitted: ReportedJob, rows: List[SqueueRow]
) -> Optional[SbatchResult]:
    submission = submitted.submission
    if not submitted.found and not _is_of(slurm, submitted, rows):
        if _is_elsewhere(submission, rows):
            where = {"got": rows[0].work_dir, "wanted": submission.folder}
            return _give_up(slurm, submitted, ELSEWHERE.format(job=submitted.job, **where))
        submission.attempts.disown(submitted.attempt)
        return SbatchResult(DOUBT)
    got = {row.id.partition("_")[2] for row in rows}
    wanted = _wanted_tasks(submission)
    if rows and got < wanted:
        got = _tasks_of(slurm, JobId.parse(submitted.job)) or wanted
    if not rows or got == wanted:
        return None
    words = {"got": _in_words(got), "wanted": _in_words(wanted)}
    return _give_up(slurm, submitted, UNWANTED.format(job=submitted.job, **words))


def _is_of(slurm: SlurmClient, submitted: ReportedJob, rows: List[SqueueRow]) -> bool:
    submission = submitted.submission
    # an earlier job of the run has the same folder
    if submission.job_number > 1 and submitted.job in submission.attempts.jobs_of_others():
        return False
    if rows:
        return all(is_folder(row.work_dir, submission.folder) for row in rows)
    # a site may answer squeue from a cache: ask the controller itself
    job = JobId.parse(submitted.job)
    shown = parse.work_dirs(slurm.shown(job.on_cluster, job.cluster))
    return any(is_folder(work_dir, submission.folder) for work_dir in shown)


def _is_elsewhere(submission: LocatedSubmission, rows: List[SqueueRow]) -> bool:
    """Return whether a job is ours by its comment, and held, but in a folder that is not ours."""
    return bool(rows and submission.comment) and all(
        row.held_by_user
        and row.comment == submission.comment
        and not row.work_dir.startswith(submission.runs + "/")
        for row in rows
    )


def _tasks_of(slurm: SlurmClient, job: JobId) -> Set[str]:
    """Ask the controller for the indices of an array's tasks: a listing may lack some."""
    try:
        lines = slurm.shown(job.on_cluster, job.cluster).splitlines()
    except AgentError:
        return set()
    ranges = [parse.shown(line).get("ArrayTaskId", "") for line in lines]
    return {task.partition("_")[2] for some in ranges for task in parse.tasks(f"_[{some}]")}


def _wanted_tasks(submission: LocatedSubmission) -> Set[str]:
    """Return the indices of a submission's tasks; {""} for a job that is not an array."""
    if submission.array is None:
        return {""}
    return {str(index) for index in submission.tasks}


def _in_words(tasks: Set[str]) -> str:
    return "one job" if tasks == {""} else f"an array of {len(tasks)} tasks"


def _give_up(slurm: SlurmClient, submitted: ReportedJob, why: str) -> SbatchResult:
    job, submission = JobId.parse(submitted.job), submitted.submission
    slurm.cancel_held([job.on_cluster], job.cluster)
    submission.attempts.refuse(submitted.attempt, why)
    return SbatchResult(REJECTED, words=why)


def resolve(
    slurm: SlurmClient, submissions: List[LocatedSubmission], reply: Reply, timeouts: Timeouts
) -> Resolution:
    """Resolve all submissions of a request that are in doubt.

    Raises an error of kind slurm if Slurm does not answer: then nothing is known.
    """
    jobs: Dict[str, str] = {}
    # an existing job is found without a wait; that there is none is certain only after the wait
    with contextlib.suppress(AgentError):
        jobs.update(_find_jobs(slurm, submissions))
    left = [submission for submission in submissions if submission.key not in jobs]
    if left:
        jobs.update(_wait_until_quiet(left, reply, timeouts))
        left = [submission for submission in left if submission.key not in jobs]
    for last in (False, True):
        if not left:
            break
        jobs.update(_find_jobs(slurm, left))
        left = [submission for submission in left if submission.key not in jobs]
        if left and not last:
            _pause(timeouts.settle / 2, reply)
    return Resolution(jobs, left)


def _wait_until_quiet(
    submissions: List[LocatedSubmission], reply: Reply, timeouts: Timeouts
) -> Dict[str, str]:
    """Wait until no sbatch can still be accepted; return jobs that appear in notes meanwhile."""
    jobs: Dict[str, str] = {}
    start = _clock(submissions[0].notes)
    while True:
        now = _clock(submissions[0].notes)
        quiet = now
        for submission in submissions:
            made = submission.attempts.read()
            job = submission.attempts.settled(made)
            if job is not None:
                jobs[submission.key] = job
            elif submission.key not in jobs:
                quiet = max(
                    quiet, _quiet_at(submission, made[-1] if made else None, start, now, timeouts)
                )
        if quiet <= now:
            return jobs
        _pause(min(LOOK, quiet - now), reply)


def _quiet_at(
    submission: LocatedSubmission,
    attempt: Optional[Attempt],
    start: float,
    now: float,
    timeouts: Timeouts,
) -> float:
    if attempt is None:
        return start + timeouts.settle
    # a note from the future was written before the clock was set back, or was touched
    touched = attempt.touched if attempt.touched < now + timeouts.settle else start
    overdue = touched + timeouts.patience
    if attempt.ended:
        return touched + timeouts.settle
    if attempt.elsewhere or attempt.watched:
        return overdue + timeouts.settle
    pid = sbatch.left_over(submission.folder)
    if pid is None:
        return touched + timeouts.settle
    if now > overdue:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        attempts.close(attempt.path)
        return now + timeouts.settle
    return overdue + timeouts.settle


def _find_jobs(slurm: SlurmClient, submissions: List[LocatedSubmission]) -> Dict[str, str]:
    by_name = grouped(
        (os.path.basename(one.work_dir), one) for one in _candidates(slurm, submissions)
    )
    jobs = {}
    for submission in submissions:
        folder = submission.folder
        named = by_name.get(os.path.basename(folder), [])
        mine = [one for one in named if is_folder(one.work_dir, folder)]
        kept = _keep_one(slurm, submission, mine)
        if kept is not None:
            jobs[submission.key] = submission.attempts.adopt(kept)
    return jobs


def _candidates(slurm: SlurmClient, submissions: List[LocatedSubmission]) -> List[PossibleJob]:
    since = min(
        (attempt.touched for submission in submissions for attempt in submission.attempts.read()),
        default=0.0,
    )
    clusters = {name for one in submissions for name in _clusters_of(one)}
    return [one for cluster in sorted(clusters) for one in _on_cluster(slurm, cluster, since)]


def _clusters_of(submission: LocatedSubmission) -> List[str]:
    """Return the clusters that may have the job, "" for the default one."""
    of_header = commands.named_clusters(submission.header.clusters)
    options = dict(each.partition("=")[::2] for each in submission.options)
    of_options = commands.named_clusters(options.get("--clusters", ""))
    return [*commands.clusters(os.environ), *of_header, *of_options] or [""]


def _on_cluster(slurm: SlurmClient, cluster: str, since: float) -> List[PossibleJob]:
    """List the user's jobs on a cluster; `since` is the time of the first attempt, 0 if none."""
    found = [
        PossibleJob(
            with_cluster(number_of(row.id), cluster),
            row.comment,
            row.work_dir,
            row.held_by_user,
            ended=False,
        )
        for row in slurm.listing(cluster)
        if row.comment
    ]
    try:
        accounts = slurm.accounts_of_user((since or time.time()) - 86400, cluster).values()
    except NoAccountingError:
        return found
    except AgentError:
        # for recent attempts the controller's own memory is enough
        if time.time() - since > AGE:
            raise
        return found
    known = {candidate.id for candidate in found}
    for row in accounts:
        name = with_cluster(number_of(row.id), cluster)
        if name not in known:
            ended = parse.state_of(row.word) is JobState.CANCELLED
            found.append(PossibleJob(name, row.comment, row.work_dir, held=False, ended=ended))
    return found


def _keep_one(
    slurm: SlurmClient, submission: LocatedSubmission, candidates: List[PossibleJob]
) -> Optional[str]:
    """Choose the job that counts, the same for every agent, and cancel the others that are held.

    Our comment identifies a job, but a script's own comment is kept and a site may change it: then
    the folder, and having a comment at all, identify it. If there are more jobs than attempts, some
    are not ours, and none is cancelled.
    """
    theirs = submission.attempts.jobs_of_others()
    others = {JobId.parse(job).on_cluster for job in theirs}
    found = [one for one in candidates if JobId.parse(one.id).on_cluster not in others]
    found = [one for one in found if one.comment == submission.comment] or found
    if not found:
        return None
    live = {one.id for one in found if not one.ended}
    kept = min(live or {one.id for one in found}, key=_order)
    held = sorted({one.id for one in found if one.held} - {kept}, key=_order)
    made = submission.attempts.read()
    orphans = held if len(held) < len(made) else []
    for cluster, jobs in by_cluster(orphans).items():
        slurm.cancel_held(jobs, cluster)
    return kept


def _order(job: str) -> Tuple[int, str]:
    return int(JobId.parse(job).on_cluster), job


def _clock(notes: str) -> float:
    """Return the time on the notes' file system, whose clock may differ from ours."""
    with tempfile.TemporaryFile(dir=notes) as probe:
        return os.fstat(probe.fileno()).st_mtime


def _pause(seconds: float, reply: Reply) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reply.raise_if_disconnected()
        time.sleep(max(0.0, min(0.1, deadline - time.monotonic())))
