"""Find the states of runs on a Slurm cluster, from whichever source knows them.

Slurm comes first: squeue, sacct, scontrol, each asked for what the earlier ones did not know. Files
in a run directory may have been written by a job: they count only if Slurm has forgotten the job.
If a source fails, that is no answer: the state stays UNKNOWN. LOST makes the user submit again, so
it needs proof: the job's number belongs to another job, or the controller does not know the job and
the accounting has jobs from before and after it, but not this one. That proves nothing about a job
of another cluster with the same runs folder, nor about one that has begun: it may have ended before
the accounting was purged, or before numbers began again.
"""

import contextlib
from typing import Dict, List, Optional, Set, Tuple

from pytest_remex.agent import upstream
from pytest_remex.agent.errors import AgentError, UnreadableError
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.slurm import control, groups, parse
from pytest_remex.agent.slurm.client import NoAccountingError, SlurmClient
from pytest_remex.agent.slurm.ownership import JobListing, LocatedJob, locate, noted_clusters
from pytest_remex.agent.slurm.parse import SacctRow
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.jobs import (
    FINAL,
    FORGOTTEN,
    RELEASED_AGAIN,
    Job,
    JobId,
    JobState,
    number_of,
)
from pytest_remex.common.protocol import Query, RunState
from pytest_remex.common.typed_json import dumps

_LOST = "Slurm assigned the id {} and then lost the job: submit it again"
_ELSEWHERE = "may be a job of cluster {} (this is {}), which uses this runs folder too: ask there"
_BEGUN = "job {} has begun, and Slurm no longer knows how it ended"
_OLD = "squeue's listing is older than its release"
_WAY_OUT = "if it did not run, --remex-submit --remex-retry=forgotten submits it again"
FEW = 50
"""The most jobs that scontrol is asked about, one by one."""


class Answers:
    """The sources' answers so far, by run directory: jobs, and hints why a job is unknown.

    `failures` are the messages of sources that failed. `reused` are the run directories whose job's
    number now belongs to another job, `denied` those whose job the controller does not know.
    `doubtful` are answers that count only if no better source has one. `revoked` are the run
    directories whose job another cluster of a federation has started.
    """

    def __init__(self) -> None:
        self.jobs: Dict[str, Job] = {}
        self.hints: Dict[str, str] = {}
        self.failures: List[str] = []
        self.reused: Set[str] = set()
        self.denied: Set[str] = set()
        self.doubtful: Dict[str, Job] = {}
        self.revoked: Set[str] = set()

    def unknown(self, asked: List[LocatedJob]) -> List[LocatedJob]:
        """Return the jobs about which nothing is known yet."""
        return [one for one in asked if one.directory not in self.jobs]


def query(request: Query, reply: Reply, slurm: SlurmClient) -> None:
    """Send the state of each run's job."""
    for cluster, asked in locate(request.runs, request.queried).items():
        answers = Answers()
        listing = _ask_squeue(slurm, asked, cluster, answers)
        _release_again(slurm, asked, listing, answers, reply)
        _ask_others(slurm, asked, cluster, answers, certain=request.certain)
        for one in asked:
            job = _own_state(one, answers.jobs[one.directory])._replace(id=one.id)
            job = upstream.explain(job, one.path)
            _remember(one.path, job)
            if request.wants(job):
                reply.send(RunState(one.directory, job))
        if request.cancel_orphans:
            folders = [one.path for one in asked]
            orphans = control.orphaned_jobs(listing.rows, request.runs, folders)
            control.cancel_orphans(slurm, orphans, cluster, reply)


def _release_again(
    slurm: SlurmClient,
    asked: List[LocatedJob],
    listing: JobListing,
    answers: Answers,
    reply: Reply,
) -> None:
    """Release again jobs that are held although their release was recorded.

    A controller that crashes right after acknowledging a release comes back without it. A listing
    from a cache may be older than the release: then the newest job is no longer held.
    """
    jobs = [(one, answers.jobs.get(one.directory)) for one in asked if one.released]
    held = [(one, job) for one, job in jobs if job and job.state is JobState.HELD]
    ours = [(one, job) for one, job in held if listing.row_is_held(one)]
    if not ours:
        return
    if not _is_held_still(slurm, max((one for one, _ in ours), key=_by_age)):
        for one, job in ours:
            answers.jobs[one.directory] = job._replace(state=JobState.PENDING, reason=_OLD)
        return
    refused = control.release_held(slurm, [one for one, _ in ours], listing, reply)
    for one, job in ours:
        refusal = refused.get(one.number)
        answers.jobs[one.directory] = (
            job._replace(reason=f"{job.reason}: {refusal.message}")
            if refusal
            else job._replace(state=JobState.PENDING, reason=RELEASED_AGAIN)
        )


def _is_held_still(slurm: SlurmClient, one: LocatedJob) -> bool:
    try:
        return parse.shows_held(slurm.shown(one.number, one.cluster))
    except AgentError:
        return True


def _by_age(one: LocatedJob) -> Tuple[int, str]:
    """Return a key that sorts jobs by number: later jobs have larger numbers."""
    return len(one.number), one.number


def _ask_others(
    slurm: SlurmClient, asked: List[LocatedJob], cluster: str, answers: Answers, *, certain: bool
) -> None:
    _ask_sacct(slurm, asked, cluster, answers)
    _ask_scontrol(slurm, asked, answers, certain=certain)
    for one in answers.unknown(asked):
        if one.directory in answers.doubtful:
            answers.jobs[one.directory] = answers.doubtful[one.directory]
    if not answers.failures:
        _ask_run_directories(asked, answers)
        left = answers.unknown(asked)
        if cluster or not _may_be_elsewhere(slurm, left, answers):
            _find_lost(slurm, left, cluster, answers)
    failures = "; ".join(answers.failures)
    for one in answers.unknown(asked):
        answers.jobs[one.directory] = _unknown(one, failures, answers)


def _unknown(one: LocatedJob, failures: str, answers: Answers) -> Job:
    why = failures or answers.hints.get(one.directory) or f"no source knows job {one.id}"
    if one.owner:
        why = f"{why}; it belongs to {one.owner}, and Slurm may show it only to that user"
        return Job(one.job, JobState.UNKNOWN, why)
    if failures or one.directory not in answers.denied:
        return Job(one.job, JobState.UNKNOWN, why)
    return Job(one.job, JobState.UNKNOWN, f"{why}; {_WAY_OUT}", source=FORGOTTEN)


def _own_state(one: LocatedJob, job: Job) -> Job:
    """Return a run's own state, also if it shares its job with the other runs of a pack."""
    if JobId.parse(one.job).task:
        return job
    try:
        return groups.job_of_member(job, one.path) if groups.pack_of(one.path) else job
    except UnreadableError as error:
        if one.is_packed() and job.state not in groups.OF_ALL_MEMBERS:
            return Job(one.job, JobState.UNKNOWN, str(error))
        return job


def _may_be_elsewhere(slurm: SlurmClient, asked: List[LocatedJob], answers: Answers) -> bool:
    """Return whether jobs may be another cluster's, with the same runs folder; add hints if so.

    If this cluster's name cannot be determined, each that was noted may be another one.
    """
    noted = noted_clusters(asked[0].runs) if asked else []
    name = slurm.cluster_name() if noted else ""
    others = [each for each in noted if each != name]
    if others:
        why = _ELSEWHERE.format(" or ".join(others), name or "of unknown name")
        answers.hints.update((one.directory, why) for one in asked)
        answers.denied.update(answers.reused)
    return bool(others)


def _find_lost(slurm: SlurmClient, asked: List[LocatedJob], cluster: str, answers: Answers) -> None:
    lost = [one for one in asked if one.directory in answers.reused]
    denied = [one for one in asked if one.directory in answers.denied and not one.owner]
    for one in [*lost, *_not_accounted(slurm, denied, cluster)]:
        if one.has_begun():
            answers.hints[one.directory] = _BEGUN.format(one.id)
            answers.denied.add(one.directory)
            continue
        job = Job(one.job, JobState.LOST, _LOST.format(one.job), source="slurm")
        answers.jobs[one.directory] = job


def _not_accounted(slurm: SlurmClient, asked: List[LocatedJob], cluster: str) -> List[LocatedJob]:
    if not asked:
        return []
    try:
        accounts = slurm.accounts_of_user(min(one.earliest for one in asked), cluster)
    except AgentError:
        return []
    numbers = [int(number_of(job)) for job in accounts]
    if not numbers:
        return []
    # a job that the controller lost may have left an accounting row that stays PENDING for ever
    known = {job for job, account in accounts.items() if account.word != "PENDING"}
    first, last = min(numbers), max(numbers)
    return [one for one in asked if first < int(one.number) < last and one.job not in known]


def _ask_squeue(
    slurm: SlurmClient, asked: List[LocatedJob], cluster: str, answers: Answers
) -> JobListing:
    """Ask squeue for all the user's jobs, and for the exit codes of those that have ended."""
    try:
        listing = JobListing.ask(slurm, cluster)
    except AgentError as error:
        answers.failures.append(str(error))
        return JobListing([])
    for one in asked:
        row = listing.row(one)
        if row is not None and row.word == parse.REVOKED:
            answers.revoked.add(one.directory)
        elif row is not None:
            answers.jobs[one.directory] = parse.from_listing(row)
        elif listing.is_another(one):
            answers.reused.add(one.directory)
    ended = {job.id for job in answers.jobs.values() if job.state in FINAL}
    codes = slurm.exit_codes(sorted(ended), cluster)
    for directory, job in answers.jobs.items():
        if job.id in ended and job.id in codes:
            code, number = codes[job.id]
            answers.jobs[directory] = job._replace(exit_code=code, signal=number or None)
    return listing


def _ask_sacct(slurm: SlurmClient, asked: List[LocatedJob], cluster: str, answers: Answers) -> None:
    """Ask sacct about jobs that are unknown or have just ended: it also knows the memory."""
    wanting = [one for one in asked if _wants_account(answers.jobs.get(one.directory))]
    if not wanting:
        return
    numbers = list(dict.fromkeys(one.number for one in wanting))
    since = min(one.earliest for one in wanting)
    try:
        accounts = slurm.accounts(numbers, since, cluster, everywhere=bool(answers.revoked))
    except NoAccountingError as error:
        why = f"Slurm has forgotten the job, and {error}"
        answers.hints.update(dict.fromkeys((one.directory for one in wanting), why))
    except AgentError as error:
        answers.failures.append(str(error))
    else:
        own = {
            one for one in wanting if one.job in accounts and one.owns(accounts[one.job].work_dir)
        }
        for one in own:
            _take_account(one, accounts[one.job], answers)
        others = [one for one in wanting if one.job in accounts and one not in own]
        _ask_sacct_again(slurm, others, since, cluster, answers)


def _ask_sacct_again(
    slurm: SlurmClient, asked: List[LocatedJob], since: float, cluster: str, answers: Answers
) -> None:
    """Ask sacct for jobs that later ones hide: a cluster that is set up anew counts from 1."""
    by_id = {one.job: one for one in asked}
    numbers = list(dict.fromkeys(one.number for one in asked))

    def is_own(job: str, work_dir: str) -> bool:
        return bool(work_dir) and job in by_id and by_id[job].owns(work_dir)

    try:
        accounts = slurm.accounts_of_same_number(numbers, since, cluster, is_own)
    except AgentError as error:
        answers.failures.append(str(error))
        return
    for job, account in accounts.items():
        _take_account(by_id[job], account, answers)


def _ask_scontrol(
    slurm: SlurmClient, asked: List[LocatedJob], answers: Answers, *, certain: bool
) -> None:
    """Ask the controller for jobs that squeue did not list: a site may answer from a cache.

    Such a listing lacks the newest jobs. So the newest job is asked for first, and the others only
    if the controller knows that one, or if the answer must be `certain`.
    """
    left = [one for one in answers.unknown(asked) if one.directory not in answers.reused]
    left.sort(key=_by_age, reverse=True)
    for count, one in enumerate(left):
        if count == FEW and not certain:
            return
        try:
            text = slurm.shown(one.job, one.cluster)
        except AgentError as error:
            answers.hints.update((each.directory, str(error)) for each in left[count:])
            return
        if not text and not certain and count == 0:
            answers.denied.update(each.directory for each in left)
            return
        if not text:
            answers.denied.add(one.directory)
        elif one.is_shown(text):
            answers.jobs[one.directory] = parse.from_scontrol(one.job, parse.shown(text))
        else:
            answers.reused.add(one.directory)


def _ask_run_directories(asked: List[LocatedJob], answers: Answers) -> None:
    """Use recorded final states, exit codes that jobs left, and our records of cancelled tasks."""
    for one in answers.unknown(asked):
        try:
            job = _recall(one) or groups.left_exit_code(one.path, one.job)
        except UnreadableError as error:
            answers.hints[one.directory] = str(error)
            continue
        if job is None and control.was_cancelled(one) and not answers.failures:
            job = Job(one.job, JobState.CANCELLED, "cancelled before it started", source="record")
        if job is not None:
            answers.jobs[one.directory] = job


def _recall(one: LocatedJob) -> Optional[Job]:
    """Return the job's final state if it was recorded before.

    Raises:
        UnreadableError: The file with the state is damaged.

    """
    seen = RunFiles(one.path).load(Job, paths.STATE)
    return seen if seen and seen.id == one.id and seen.state in FINAL else None


def _remember(run: str, job: Job) -> None:
    """Record a final state in the run directory, because Slurm will forget it."""
    if job.state not in FINAL:
        return
    files, text = RunFiles(run), dumps(job, paths.DISK_FORMAT)
    # the client has it in its launch record; this copy is for clients without that record
    with contextlib.suppress(UnreadableError, OSError):
        if _read_state(files) != text:
            files.write(paths.STATE, text)


def _read_state(files: RunFiles) -> Optional[str]:
    try:
        return files.read(paths.STATE)
    except UnreadableError:
        return None


def _wants_account(job: Optional[Job]) -> bool:
    return job is None or (job.state in FINAL and job.memory is None and job.source == "squeue")


def _take_account(one: LocatedJob, account: SacctRow, answers: Answers) -> None:
    """Use sacct's row as far as it does not contradict the controller: sacct lags behind.

    If one task of an array is cancelled, then the row of all that have not started says CANCELLED,
    until the others have rows of their own.
    """
    job, listed = parse.from_account(account), answers.jobs.get(one.directory)
    if listed is not None:
        if job.state is listed.state:
            answers.jobs[one.directory] = _completed(job, listed)
    elif one.directory in answers.revoked:
        answers.jobs[one.directory] = job
    elif job.state not in FINAL and not answers.failures:
        why = f"sacct says {job.state}, but squeue does not list job {one.id}"
        answers.hints[one.directory] = why
    elif account.shared:
        answers.doubtful[one.directory] = job
    else:
        answers.jobs[one.directory] = job


def _completed(job: Job, listed: Job) -> Job:
    """Return a job as sacct has it, with what only squeue has: a row may not be whole yet."""
    missing = {
        name: known for name, known in listed._asdict().items() if getattr(job, name) is None
    }
    return job._replace(**missing)
