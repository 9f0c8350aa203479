"""The local scheduler's answers to requests: submit held, release, query, cancel, discard."""

import os
import time
from typing import Container, Dict, List, Optional, Set

from pytest_remex.agent import fs, record_copies, upstream
from pytest_remex.agent.discard import answer, refuse, submissions_to_end
from pytest_remex.agent.errors import UnreadableError
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.local import queue
from pytest_remex.agent.local.job import GRACE
from pytest_remex.agent.local.store import CANCELLED, RELEASED, Store, tasks
from pytest_remex.agent.submissions import (
    LocatedSubmission,
    RefusedError,
    check_scripts,
    submissions_of,
    tell_doubt,
    tell_held,
    tell_rejected,
)
from pytest_remex.agent.units import units_of
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths, protocol
from pytest_remex.common.claims import Discard
from pytest_remex.common.git import kept_variables
from pytest_remex.common.jobs import Job, JobState, number_of
from pytest_remex.common.paths import LocalSpec, LocalState

PATIENCE = GRACE + 2.0
"""Seconds to wait for the queue to carry out a cancel."""


def submit(request: protocol.Submit, reply: Reply) -> None:
    """Queue submissions as held jobs; one that was queued before keeps its job id."""
    record_copies.keep(request.runs, request.part)
    store = Store(request.runs)
    environment = store.keep_environment(job_environment())
    first = store.next_id()
    submissions, faults = units_of(submissions_of(request), _no_scripts)
    for fault in faults:
        reply.send(fault)
    for submission in submissions:
        reply.raise_if_disconnected()
        try:
            job = _claim(store, submission, environment, first)
            first = max(first, int(job) + 1)
            jobs = jobs_of(submission, job)
            for directory in submission.run_directories:
                RunFiles(directory).write(paths.JOB, jobs[os.path.basename(directory)] + "\n")
        except UnreadableError as error:
            tell_doubt(submission, str(error), reply)
        except RefusedError as error:
            tell_rejected(submission, str(error), reply)
        else:
            tell_held(submission, job, jobs, reply)


def release(request: protocol.Release, reply: Reply) -> None:
    """Release held jobs; the queue starts them."""
    store = Store(request.runs)
    missing = {run.job: _missing(store, run.job) for run in request.jobs}
    known = [job for job, why in missing.items() if not why]
    for job in dict.fromkeys(map(number_of, known)):
        if not _all_started(store, job):
            store.mark(RELEASED, job)
    queue.ensure(store, reply.modules)
    reply.send(protocol.Released(known))
    for job, why in missing.items():
        if why:
            reply.send(protocol.NotReleased(job, why))


def query(request: protocol.Query, reply: Reply) -> None:
    """Send the state of each run."""
    store = Store(request.runs)
    queue.ensure(store, reply.modules)
    released = set(store.marked(RELEASED))
    for run in request.queried:
        try:
            job = upstream.explain(
                _job(store, run.job, released), os.path.join(request.runs, run.directory)
            )
        except UnreadableError as error:
            job = Job(run.job, JobState.UNKNOWN, str(error), source="local")
        if request.wants(job):
            reply.send(protocol.RunState(run.directory, job))


def cancel(request: protocol.Cancel, reply: Reply) -> None:
    """Cancel jobs, running or not, and wait until they have ended."""
    store = Store(request.runs)
    missing = {run.job: _missing(store, run.job) for run in request.jobs}
    for job, why in missing.items():
        if not why:
            store.mark(CANCELLED, job)
    queue.ensure(store, reply.modules)
    deadline = time.monotonic() + PATIENCE
    while store.marked(CANCELLED) and time.monotonic() < deadline:
        time.sleep(0.02)
    for job, why in missing.items():
        reply.send(protocol.NotCancelled(job, why) if why else protocol.Cancelled(job))


def discard(request: Discard, reply: Reply) -> None:
    """End submissions: those that were not queued, and those whose job was not released."""
    store = Store(request.runs)
    released = set(store.marked(RELEASED))
    for submission in submissions_to_end(request, reply, _no_scripts):
        try:
            _discard(store, submission, released, request.why, reply)
        except UnreadableError as error:
            answer(submission, reply, message=str(error))


def _discard(
    store: Store, submission: LocatedSubmission, released: Container[str], why: str, reply: Reply
) -> None:
    settled = submission.attempts.settled_note
    job = (fs.read(settled) or "").strip()
    if job in released or (job and _has_started(store, job)):
        answer(submission, reply, jobs_of(submission, job))
        return
    if job:
        store.withdraw(job)
        fs.remove(settled)
    refuse(submission, why, reply)


def _has_started(store: Store, job: str) -> bool:
    """Return whether a job has started, or will never start: an ended one is no longer marked."""
    spec = store.spec(job)
    return spec is not None and any(store.has_started(task.id) for task in tasks(spec))


def _claim(store: Store, submission: LocatedSubmission, environment: str, first: int) -> str:
    settled = submission.attempts.settled_note
    job = fs.read(settled)
    if job is not None:
        return job.strip()
    refused = submission.attempts.refusal()
    if refused:
        raise RefusedError(refused)
    check_scripts(submission)
    for directory in submission.run_directories:
        RunFiles(directory).remove(paths.EXIT)
    upstream.prepare(submission)
    os.makedirs(submission.notes, exist_ok=True)
    added = store.add(_spec(submission, environment), first)
    if fs.create(settled, added + "\n"):
        return added
    store.withdraw(added)
    return (fs.read(settled) or "").strip()


def _no_scripts(_submission: LocatedSubmission) -> Dict[str, str]:
    """Return the scripts of a group's folder: each task runs its run's own script."""
    return {}


def _spec(submission: LocatedSubmission, environment: str) -> LocalSpec:
    header = submission.header
    return LocalSpec(
        id="",
        directories=submission.run_directories,
        array=submission.grouped,
        throttle=submission.array.throttle if submission.array else None,
        name=header.job_name,
        output=header.output,
        error=header.error,
        time_limit=header.time_limit,
        environment=environment,
        extra=submission.environment,
        submitted=0.0,
        script=header.script,
        append=_appends(submission.options),
        dependency=submission.dependency,
    )


def _appends(options: List[str]) -> bool:
    """Return whether sbatch options ask to append to the job's output; the last one wins."""
    modes = [each.partition("=")[2] for each in options if each.startswith("--open-mode=")]
    return bool(modes) and modes[-1].startswith("a")


def jobs_of(submission: LocatedSubmission, job: str) -> Dict[str, str]:
    """Return the job of each run directory that a submission submits, by its name."""
    if not submission.grouped:
        return {submission.directories[0]: job}
    names = [submission.directories[task] for task in submission.tasks]
    return {name: f"{job}_{index}" for index, name in enumerate(names)}


def _missing(store: Store, job: str) -> str:
    """Return why a job cannot be found; empty if it exists."""
    try:
        return "" if store.spec(job) else f"there is no local job {job}"
    except UnreadableError as error:
        return str(error)


def _all_started(store: Store, job: str) -> bool:
    spec = store.spec(job)
    return spec is None or all(store.has_started(task.id) for task in tasks(spec))


def _job(store: Store, name: str, released: Set[str]) -> Job:
    spec = store.spec(name)
    if spec is None:
        return Job(name, JobState.LOST, f"there is no local job {name}", source="local")
    state = store.state(name) or LocalState(
        JobState.PENDING if spec.id in released else JobState.HELD
    )
    return Job(
        id=name,
        state=state.state,
        reason=state.reason,
        exit_code=state.exit_code,
        signal=state.signal,
        elapsed=_elapsed(state),
        time_limit=spec.time_limit,
        memory=state.memory,
        cores=1,
        source="local",
    )


def _elapsed(state: LocalState) -> Optional[float]:
    if state.state is JobState.RUNNING and state.started is not None:
        return round(time.time() - state.started, 3)
    return state.elapsed


def job_environment() -> Dict[str, str]:
    """Return the variables that local jobs get from this process."""
    kept = kept_variables(os.environ)
    return {name: text for name, text in kept.items() if not name.startswith("PYTEST_")}
