"""The sources that may know a job's state, each asked for what those before it did not tell."""

import os
from typing import Dict, List, NamedTuple, Optional, Set

from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.slurm import (
    accounts,
    arrays,
    cancel,
    client,
    command_lines,
    folders,
    packs,
    parse,
    run_notes,
)
from pytest_remex.agent.slurm.parse import Listed
from pytest_remex.common.jobs import FINAL, Job, JobState, number_of

FEW = 50
"""Jobs that scontrol is asked for, one by one, at most."""


class Asked(NamedTuple):
    """A run whose job is asked for; `since` is a time before the job was submitted."""

    directory: str
    folder: str
    arrays: str
    job: str
    full: str
    since: float

    def owns(self, work_dir: str) -> bool:
        """Whether a job is this run's, not another of the same number: Slurm may reuse those."""
        if work_dir.startswith(tuple(folders.spellings(self.arrays))):
            if "_" not in self.job:
                return packs.has(work_dir, self.folder)
            # a name that sacct has changed, see folders.spellings, leads nowhere
            return arrays.has(work_dir, self.job, self.folder) or not os.path.isdir(work_dir)
        return not work_dir or work_dir in folders.spellings(self.folder)


class Known:
    """What the sources said so far, by directory: jobs, and hints why a job is not known.

    `failures` are sources that failed; `taken` directories whose id is another job's now.
    """

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self.jobs: Dict[str, Job] = {}
        self.hints: Dict[str, str] = {}
        self.failures: List[str] = []
        self.taken: Set[str] = set()

    def left(self, asked: List[Asked]) -> List[Asked]:
        """Give the runs of which nothing is known."""
        return [one for one in asked if one.directory not in self.jobs]


def ask_squeue(asked: List[Asked], known: Known) -> List[Listed]:
    """Ask for all of the user's jobs, and for the exit codes of those that have ended."""
    try:
        rows = client.listing(known.cluster)
    except AgentError as error:
        known.failures.append(str(error))
        return []
    by_id = {row.id: row for row in rows}
    by_whole = {number_of(row.id): row for row in rows}
    for one in asked:
        row = by_id.get(one.job)
        # another's job may have an array's number and not its tasks
        whole = by_whole.get(number_of(one.job))
        if row is not None and one.owns(row.work_dir):
            known.jobs[one.directory] = accounts.from_listing(row)
        elif whole is not None and not one.owns(whole.work_dir):
            known.taken.add(one.directory)
    ended = {job.id for job in known.jobs.values() if job.state in FINAL}
    codes = client.exit_codes(sorted(ended), known.cluster)
    for name, job in known.jobs.items():
        if job.id in ended and job.id in codes:
            code, number = codes[job.id]
            known.jobs[name] = job._replace(exit_code=code, signal=number or None)
    return rows


def ask_records(asked: List[Asked], known: Known) -> None:
    """Take final states seen before, unless Slurm says otherwise: a requeued job lives again."""
    for one in asked:
        listed = known.jobs.get(one.directory)
        seen = run_notes.recall(one.folder, one.full)
        if seen and (listed is None or listed.state == seen.state):
            known.jobs[one.directory] = seen


def ask_sacct(asked: List[Asked], known: Known) -> None:
    """Ask for what is not known, or ended just now: sacct tells the memory too."""
    wanting = [one for one in asked if _wants_account(known.jobs.get(one.directory))]
    if not wanting:
        return
    wholes = list(dict.fromkeys(number_of(one.job) for one in wanting))
    since = min(one.since for one in wanting)
    try:
        found = client.accounts(wholes, since, known.cluster)
    except client.NoAccountingError as error:
        why = f"Slurm has forgotten the job, and {error}"
        known.hints.update(dict.fromkeys((one.directory for one in wanting), why))
    except AgentError as error:
        known.failures.append(str(error))
    else:
        for one in wanting:
            account = found.get(one.job)
            if account is not None and one.owns(account.work_dir):
                _take_account(one, accounts.from_accounts(account), known)


def ask_scontrol(asked: List[Asked], known: Known) -> None:
    """Ask the controller, one by one, for a few jobs that squeue did not list."""
    left = [one for one in known.left(asked) if one.directory not in known.taken]
    for one in left[:FEW]:
        ran = client.run(command_lines.show(one.job, known.cluster))
        if ran.well:
            said = parse.shown(ran.out)
            known.jobs[one.directory] = accounts.from_scontrol(one.job, said)


def ask_run_directories(asked: List[Asked], known: Known) -> None:
    """Take exit codes that jobs left, and what was cancelled from here."""
    for one in known.left(asked):
        job = run_notes.left_exit_code(one.folder, one.job)
        if job is None and cancel.noted(one.arrays, one.job) and not known.failures:
            job = Job(one.job, JobState.CANCELLED, "cancelled before it started", source="record")
        if job is not None:
            known.jobs[one.directory] = job


def _wants_account(job: Optional[Job]) -> bool:
    return job is None or (job.state in FINAL and job.memory is None and job.source == "squeue")


def _take_account(one: Asked, job: Job, known: Known) -> None:
    """Believe an account of a live job only where the controller cannot be asked: it lags."""
    listed = one.directory in known.jobs
    if job.state in FINAL or (known.failures and not listed):
        known.jobs[one.directory] = job
    elif not listed:
        why = f"sacct says {job.state}, but squeue does not list job {one.full}"
        known.hints[one.directory] = why
