"""Find out what became of doubtful attempts: ask Slurm, twice, for jobs in their folders."""

import contextlib
import os
import signal
import tempfile
import time
from typing import Dict, List, NamedTuple, Optional, Tuple

from . import attempts, folders, job_ids, sbatch, slurm, slurm_commands, slurm_environment
from .attempts import Attempt
from .faults import AgentError
from .states import state_of
from .units import Unit
from .wire import Talk

LOOK = 0.5
"""Seconds between two looks at notes that another agent may be filling."""
AGE = 60.0
"""Seconds for which the controller surely remembers a job that was cancelled meanwhile."""


class Terms(NamedTuple):
    """How patient a request is: seconds for one sbatch, and for Slurm's late acceptance of it."""

    patience: float
    settle: float


class Candidate(NamedTuple):
    """A job that may be a unit's; `id` names its cluster, and the whole array where it is one."""

    id: str
    comment: str
    work_dir: str
    held: bool
    ended: bool


class Resolution(NamedTuple):
    """What became of doubtful units, by key: the job each became; the rest left no trace."""

    jobs: Dict[str, str]
    again: List[Unit]


def resolve(units: List[Unit], talk: Talk, terms: Terms) -> Resolution:
    """Resolve all doubtful units of a request together.

    Raises an error of kind slurm when Slurm cannot be asked: then nothing is known.
    """
    jobs: Dict[str, str] = {}
    # a job that is there already needs no wait; that none is there is only known after it
    with contextlib.suppress(AgentError):
        jobs.update(_look(units))
    left = [unit for unit in units if unit.key not in jobs]
    if left:
        jobs.update(_wait_until_quiet(left, talk, terms))
        left = [unit for unit in left if unit.key not in jobs]
    for last in (False, True):
        if not left:
            break
        jobs.update(_look(left))
        left = [unit for unit in left if unit.key not in jobs]
        if left and not last:
            _pause(terms.settle / 2, talk)
    return Resolution(jobs, left)


def _wait_until_quiet(units: List[Unit], talk: Talk, terms: Terms) -> Dict[str, str]:
    """Wait until no sbatch can still be accepted; gives the jobs that notes told of meanwhile."""
    jobs: Dict[str, str] = {}
    start = _clock(units[0].home)
    told = 0.0
    while True:
        now = _clock(units[0].home)
        quiet = now
        for unit in units:
            made = attempts.read(unit.home, unit.serial)
            job = attempts.settled(unit.home, unit.serial, made)
            if job is not None:
                jobs[unit.key] = job
            elif unit.key not in jobs:
                quiet = max(quiet, _quiet_at(unit, made[-1] if made else None, start, now, terms))
        if quiet <= now:
            return jobs
        if quiet > told:
            talk.event("waiting", key=units[0].key, seconds=round(quiet - now, 1))
            told = quiet
        _pause(min(LOOK, quiet - now), talk)


def _quiet_at(
    unit: Unit, attempt: Optional[Attempt], start: float, now: float, terms: Terms
) -> float:
    if attempt is None:
        return start + terms.settle
    overdue = attempt.touched + terms.patience
    if attempt.ended:
        return attempt.touched + terms.settle
    if attempt.elsewhere or attempt.watched:
        return overdue + terms.settle
    pid = sbatch.left_over(unit.folder, unit.comment)
    if pid is None:
        return attempt.touched + terms.settle
    if now > overdue:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        attempts.close(attempt.path)
        return now + terms.settle
    return overdue + terms.settle


def _look(units: List[Unit]) -> Dict[str, str]:
    by_folder: Dict[str, List[Candidate]] = {}
    for candidate in _candidates(units):
        by_folder.setdefault(candidate.work_dir, []).append(candidate)
    jobs = {}
    for unit in units:
        mine = [one for name in folders.spellings(unit.folder) for one in by_folder.get(name, [])]
        kept = _keep_one(unit, [one for one in mine if one.comment in (unit.comment, "")])
        if kept is not None:
            jobs[unit.key] = attempts.adopt(unit.home, unit.serial, kept)
    return jobs


def _candidates(units: List[Unit]) -> List[Candidate]:
    since = min(
        (attempt.touched for unit in units for attempt in attempts.read(unit.home, unit.serial)),
        default=0.0,
    )
    clusters = slurm_environment.clusters(os.environ) or [""]
    return [one for cluster in clusters for one in _on_cluster(cluster, since)]


def _on_cluster(cluster: str, since: float) -> List[Candidate]:
    """List the user's jobs on a cluster; `since` is the time of the first attempt, 0 for none."""
    found = [
        Candidate(
            job_ids.full(job_ids.whole_of(row.id), cluster),
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
    except slurm.NoAccountingError:
        return found
    except AgentError:
        # the controller's own memory is enough for what was tried just now
        if time.time() - since > AGE:
            raise
        return found
    known = {candidate.id for candidate in found}
    for row in accounts:
        name = job_ids.full(job_ids.whole_of(row.id), cluster)
        if name not in known:
            ended = state_of(row.word) == "CANCELLED"
            found.append(Candidate(name, row.comment, row.work_dir, held=False, ended=ended))
    return found


def _keep_one(unit: Unit, candidates: List[Candidate]) -> Optional[str]:
    """Choose the job that counts, the same for every agent, and cancel the others that are held."""
    others = {job_ids.local_of(job) for job in attempts.jobs_of_others(unit.home, unit.serial)}
    names = {one.id for one in candidates if job_ids.local_of(one.id) not in others}
    if not names:
        return None
    live = {one.id for one in candidates if one.id in names and not one.ended}
    kept = min(live or names, key=_order)
    stray = {one.id for one in candidates if one.held and one.id in names} - {kept}
    for cluster, jobs in job_ids.by_cluster(sorted(stray, key=_order)).items():
        slurm.run(slurm_commands.cancel_held(jobs, cluster))
    return kept


def _order(job: str) -> Tuple[int, str]:
    return int(job_ids.local_of(job)), job


def _clock(home: str) -> float:
    """Give the time of the file system that holds the notes, whose clock may differ from ours."""
    with tempfile.TemporaryFile(dir=home) as probe:
        return os.fstat(probe.fileno()).st_mtime


def _pause(seconds: float, talk: Talk) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        talk.check()
        time.sleep(max(0.0, min(0.1, deadline - time.monotonic())))
