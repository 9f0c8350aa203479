"""Tell the states of runs on a Slurm cluster, from whichever source knows.

First what squeue lists, then a final state seen before, then sacct, scontrol and the exit code
that the run directory holds. A source that failed is no answer: the state stays UNKNOWN.
"""

import os
import time
from typing import Dict, List, NamedTuple, Optional, Set

from . import (
    accounts,
    cancel,
    files,
    folders,
    job_ids,
    lost,
    paths,
    records,
    slurm,
    slurm_commands,
    slurm_parse,
    strays,
)
from .faults import AgentError
from .jobs import ENDED, Job
from .slurm_parse import Listed
from .wire import Request, Talk

DAY = 86400.0
FEW = 50
"""Jobs that scontrol is asked for, one by one, at most."""


class Asked(NamedTuple):
    """A run whose job is asked for; `since` is a time before the job was submitted."""

    directory: str
    folder: str
    job: str
    full: str
    since: float


class Known(NamedTuple):
    """What the sources said so far.

    `jobs` by id, `failures` why a source said nothing, `hints` why a job is not known, by id, and
    `taken` the ids that now belong to jobs elsewhere.
    """

    runs: str
    cluster: str
    jobs: Dict[str, Job]
    failures: List[str]
    hints: Dict[str, str]
    taken: Set[str]

    def left(self, asked: List[Asked]) -> List[Asked]:
        """Give the runs of which nothing is known."""
        return [one for one in asked if one.job not in self.jobs]


def query(request: Request, talk: Talk) -> None:
    """Tell each run's job."""
    by_cluster: Dict[str, List[Asked]] = {}
    for one in request["runs_to_query"]:
        cluster = job_ids.cluster_of(one["job"])
        by_cluster.setdefault(cluster, []).append(_asked(request["runs"], one))
    for cluster, asked in by_cluster.items():
        known = Known(request["runs"], cluster, {}, [], {}, set())
        rows = _ask_all(asked, known)
        for one in asked:
            job = known.jobs[one.job]._replace(id=one.full)
            records.remember(one.folder, job)
            talk.event("job", directory=one.directory, job=job.as_json())
        if request.get("sweep_strays"):
            strays.sweep(rows, _units(asked, request["runs"]), cluster, talk)


def _ask_all(asked: List[Asked], known: Known) -> List[Listed]:
    rows = _ask_squeue(asked, known)
    _ask_records(asked, known)
    _ask_sacct(asked, known)
    _ask_scontrol(asked, known)
    _ask_exit_files(asked, known)
    left = known.left(asked)
    if left and not known.failures:
        names = [one.job for one in left]
        since = min(one.since for one in left)
        known.jobs.update(lost.judge(names, known.taken, since, known.cluster))
    why = "; ".join(known.failures)
    for one in known.left(asked):
        reason = why or known.hints.get(one.job) or f"no source knows job {one.full}"
        known.jobs[one.job] = Job(one.job, "UNKNOWN", reason)
    return rows


def _asked(runs: str, data: Dict[str, str]) -> Asked:
    folder = os.path.join(runs, data["directory"])
    try:
        since = os.stat(paths.run_json(folder)).st_mtime - DAY
    except OSError:
        since = time.time() - 365 * DAY
    full = data["job"]
    return Asked(data["directory"], folder, job_ids.local_of(full), full, since)


def _units(asked: List[Asked], runs: str) -> List[str]:
    """Give the folders of the asked jobs' units: run directories, and those of arrays."""
    above = os.path.dirname(paths.array(runs, "", ""))
    names = files.listing(above) if any("_" in one.job for one in asked) else ()
    return [*(one.folder for one in asked), *(os.path.join(above, name) for name in names)]


def _ask_squeue(asked: List[Asked], known: Known) -> List[Listed]:
    try:
        rows = slurm.listing(known.cluster)
    except AgentError as error:
        known.failures.append(str(error))
        return []
    by_id = {row.id: row for row in rows}
    for one in asked:
        row = by_id.get(one.job)
        if row is not None and not _ours(one, row.work_dir, known.runs):
            known.taken.add(one.job)
        elif row is not None:
            known.jobs[one.job] = accounts.from_listing(row)
    ended = [name for name, job in known.jobs.items() if job.state in ENDED]
    for name, (code, number) in slurm.exit_codes(ended, known.cluster).items():
        if name in known.jobs:
            job = known.jobs[name]._replace(exit_code=code, signal=number or None)
            known.jobs[name] = job
    return rows


def _ask_records(asked: List[Asked], known: Known) -> None:
    """Take final states seen before, unless Slurm says otherwise: a requeued job lives again."""
    for one in asked:
        listed = known.jobs.get(one.job)
        seen = records.recall(one.folder, one.full)
        if seen and (listed is None or listed.state == seen.state):
            known.jobs[one.job] = seen


def _ask_sacct(asked: List[Asked], known: Known) -> None:
    """Ask for what is not known, or ended just now: sacct tells the memory too."""
    wanting = [one for one in asked if _wants_account(known.jobs.get(one.job))]
    if not wanting:
        return
    wholes = list(dict.fromkeys(job_ids.whole_of(one.job) for one in wanting))
    since = min(one.since for one in wanting)
    try:
        found = slurm.accounts(wholes, since, known.cluster)
    except slurm.NoAccountingError as error:
        why = f"Slurm has forgotten the job, and {error}"
        known.hints.update(dict.fromkeys((one.job for one in wanting), why))
    except AgentError as error:
        known.failures.append(str(error))
    else:
        for one in wanting:
            account = found.get(one.job)
            if account is not None and _ours(one, account.work_dir, known.runs):
                _take_account(one, accounts.from_accounts(account), known)


def _take_account(one: Asked, job: Job, known: Known) -> None:
    """Believe an account of a live job only where the controller cannot be asked: it lags."""
    if job.state in ENDED or (known.failures and one.job not in known.jobs):
        known.jobs[one.job] = job
    elif one.job not in known.jobs:
        why = f"sacct says {job.state}, but squeue does not list job {one.full}"
        known.hints[one.job] = why


def _wants_account(job: Optional[Job]) -> bool:
    return job is None or (job.state in ENDED and job.memory is None and job.source == "squeue")


def _ours(one: Asked, work_dir: str, runs: str) -> bool:
    """Whether a job is this run's, and not another of the same number: Slurm may reuse numbers."""
    arrays = os.path.join(runs, paths.KEEP, "arrays", "")
    if "_" in one.job and work_dir.startswith(tuple(folders.spellings(arrays))):
        return True
    return not work_dir or work_dir in folders.spellings(one.folder)


def _ask_scontrol(asked: List[Asked], known: Known) -> None:
    left = [one for one in known.left(asked) if one.job not in known.taken]
    for one in left[:FEW]:
        ran = slurm.run(slurm_commands.show(one.job, known.cluster))
        if ran.well:
            known.jobs[one.job] = accounts.from_scontrol(one.job, slurm_parse.shown(ran.out))


def _ask_exit_files(asked: List[Asked], known: Known) -> None:
    for one in known.left(asked):
        job = records.left_exit_code(one.folder, one.job)
        if job is not None:
            known.jobs[one.job] = job
        elif cancel.noted(known.runs, one.job) and not known.failures:
            why = "cancelled before it started"
            known.jobs[one.job] = Job(one.job, "CANCELLED", why, source="record")
