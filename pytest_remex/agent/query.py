"""Tell the states of runs on a Slurm cluster, from whichever source knows.

First what squeue lists, then a final state seen before, then sacct, scontrol and the exit code
that the run directory holds. A source that failed is no answer: the state stays UNKNOWN.
"""

import json
import os
import time
from typing import Dict, List, NamedTuple, Optional

from . import files, job_ids, paths, slurm, slurm_commands, slurm_parse, strays
from .faults import AgentError
from .jobs import ENDED, Job
from .slurm_parse import Accounted, Listed
from .states import state_of
from .wire import Request, Talk

DAY = 86400.0
FEW = 50
"""Jobs that scontrol is asked for, one by one, at most."""


class Asked(NamedTuple):
    """A run whose job is asked for; `since` is a time before the job was submitted."""

    directory: str
    folder: str
    job: str
    cluster: str
    full: str
    since: float


class Known(NamedTuple):
    """What the sources said: jobs by id, and why a source said nothing."""

    jobs: Dict[str, Job]
    failures: List[str]


def query(request: Request, talk: Talk) -> None:
    """Tell each run's job."""
    runs = request["runs"]
    asked = [_asked(runs, one) for one in request["runs_to_query"]]
    for cluster in sorted({one.cluster for one in asked}):
        mine = [one for one in asked if one.cluster == cluster]
        _query(mine, cluster, talk, request)


def _query(asked: List[Asked], cluster: str, talk: Talk, request: Request) -> None:
    known = Known({}, [])
    rows = _ask_squeue(asked, cluster, known)
    _ask_disk(asked, known)
    accounts = _ask_sacct(asked, cluster, known)
    _ask_scontrol(asked, cluster, known)
    for one in asked:
        job = known.jobs.get(one.job) or _from_exit_file(one) or _nobody_knows(one, known, accounts)
        _remember(one, job)
        talk.event("job", directory=one.directory, job=job._replace(id=one.full).as_json())
    if request.get("sweep_strays"):
        strays.sweep(rows, [one.folder for one in asked], cluster, talk)


def _asked(runs: str, data: Dict[str, str]) -> Asked:
    folder = os.path.join(runs, data["directory"])
    try:
        since = os.stat(paths.run_json(folder)).st_mtime - DAY
    except OSError:
        since = time.time() - 365 * DAY
    full = data["job"]
    return Asked(
        directory=data["directory"],
        folder=folder,
        job=job_ids.local_of(full),
        cluster=job_ids.cluster_of(full),
        full=full,
        since=since,
    )


def _ask_squeue(asked: List[Asked], cluster: str, known: Known) -> List[Listed]:
    try:
        rows = slurm.listing(cluster)
    except AgentError as error:
        known.failures.append(str(error))
        return []
    wanted = {one.job for one in asked}
    for row in rows:
        if row.id in wanted:
            known.jobs[row.id] = _from_listing(row)
    ended = [name for name, job in known.jobs.items() if job.state in ENDED]
    for name, (code, number) in slurm.exit_codes(ended, cluster).items():
        if name in known.jobs:
            job = known.jobs[name]
            known.jobs[name] = job._replace(exit_code=code, signal=number or None)
    return rows


def _ask_disk(asked: List[Asked], known: Known) -> None:
    """Take final states seen before, unless Slurm now says that the job lives again."""
    for one in asked:
        listed = known.jobs.get(one.job)
        if listed is None or listed.state in ENDED:
            seen = files.read_json(paths.state(one.folder))
            if seen.get("id") == one.full:
                known.jobs[one.job] = Job(**seen)


def _ask_sacct(asked: List[Asked], cluster: str, known: Known) -> Optional[Dict[str, Accounted]]:
    """Ask for what is not known, or ended just now: sacct tells the memory too."""
    left = [one for one in asked if _wanting(known.jobs.get(one.job))]
    if not left:
        return {}
    wholes = list(dict.fromkeys(job_ids.whole_of(one.job) for one in left))
    try:
        accounts = slurm.accounts(wholes, min(one.since for one in left), cluster)
    except AgentError as error:
        known.failures.append(str(error))
        return None
    for one in left:
        found = accounts.get(one.job)
        listed = known.jobs.get(one.job)
        if found is None or not _ours(one, found):
            continue
        job = _from_accounts(found)
        # the accounting lags behind the controller
        if listed is None or job.state in ENDED:
            known.jobs[one.job] = job
    return accounts


def _wanting(job: Optional[Job]) -> bool:
    return job is None or (job.state in ENDED and job.memory is None and job.source == "squeue")


def _ours(one: Asked, found: Accounted) -> bool:
    """Whether an account is of this run's job, and not of an older one of the same number."""
    return strays.belongs(found.work_dir, one.folder)


def _ask_scontrol(asked: List[Asked], cluster: str, known: Known) -> None:
    left = [one for one in asked if one.job not in known.jobs]
    for one in left[:FEW]:
        ran = slurm.run(slurm_commands.show(one.job, cluster))
        if ran.well:
            known.jobs[one.job] = _from_scontrol(one, slurm_parse.shown(ran.out))


def _from_listing(row: Listed) -> Job:
    return Job(
        id=row.id,
        state=state_of(row.word, row.reason),
        reason=row.reason,
        elapsed=row.elapsed,
        time_limit=row.time_limit,
        memory_limit=row.memory_limit,
        cores=row.cores,
        source="squeue",
    )


def _from_accounts(found: Accounted) -> Job:
    return Job(
        id=found.id,
        state=state_of(found.word),
        reason=found.word if " " in found.word else "",
        exit_code=found.exit_code,
        signal=found.signal or None,
        elapsed=found.elapsed,
        time_limit=found.time_limit,
        memory=found.memory,
        memory_limit=found.memory_limit,
        cores=found.cores,
        source="sacct",
    )


def _from_scontrol(one: Asked, said: Dict[str, str]) -> Job:
    code, number = slurm_parse.exit_code(said.get("ExitCode", "0:0"))
    reason = said.get("Reason", "")
    return Job(
        id=one.job,
        state=state_of(said.get("JobState", ""), reason),
        reason="" if reason == "None" else reason,
        exit_code=code,
        signal=number or None,
        elapsed=slurm_parse.duration(said.get("RunTime", "")),
        time_limit=slurm_parse.duration(said.get("TimeLimit", "")),
        source="scontrol",
    )


def _from_exit_file(one: Asked) -> Optional[Job]:
    text = (files.read(paths.exit_code(one.folder)) or "").strip()
    if not text.isdigit():
        return None
    state = "COMPLETED" if text == "0" else "FAILED"
    return Job(one.job, state, exit_code=int(text), source="exit file")


def _nobody_knows(one: Asked, known: Known, accounts: Optional[Dict[str, Accounted]]) -> Job:
    if known.failures:
        return Job(one.job, "UNKNOWN", "; ".join(known.failures))
    return Job(one.job, "UNKNOWN", f"no source knows job {one.full}")


def _remember(one: Asked, job: Job) -> None:
    if job.state in ENDED and job.source not in ("", "record"):
        text = json.dumps(job._replace(id=one.full).as_json())
        if files.read(paths.state(one.folder)) != text and os.path.isdir(paths.keep(one.folder)):
            files.replace(paths.state(one.folder), text)
