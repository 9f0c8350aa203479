"""Query the states of runs: one request per remote, for any number of runs.

A controller serves everyone: one that is waited on is polled with exponential back-off, at most
every half minute by default, and less often the slower it answers. A wait may last days: a broken
link is reopened automatically, as long as that does not need the user.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from pytest_remex.collect.sync import share
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import RELEASED_AGAIN, Job, JobState
from pytest_remex.common.parts import RunJob
from pytest_remex.common.protocol import Query, RunState
from pytest_remex.display import Progress, counted, show_nothing, some_of
from pytest_remex.errors import ConnectionLostError, RecordError, RemexError, UnreachableError
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import Ended, RunRecord, Stage

if TYPE_CHECKING:
    from pytest_remex.transport.connection import Connect, Connection
    from pytest_remex.transport.connections import Connections

SHOWN = 5
"""The most jobs that a message names."""
FIRST, LAST, GROWTH = 1.0, 60.0, 1.3
"""Exponential back-off of polls: first and longest pause in seconds, and the factor."""
SHARE = 10.0
"""The pause is at least this many times as long as the last answer took, except after the first."""
RETRY_FIRST, RETRY_LAST, RETRY_GROWTH = 5.0, 300.0, 2.0
"""The same back-off for attempts to reconnect."""

_UNSENT = frozenset({Stage.COMMITTED, Stage.PUSHED, Stage.PLACED})


def _raise(error: RecordError) -> NoReturn:
    raise error


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What a query does, besides reading the states of jobs."""

    certain: bool = False
    """Report a job as forgotten only if the controller itself was asked about it."""
    release: bool = True
    """Release jobs that are held despite a recorded release, unless their script asks for that."""
    explain: bool = True
    """Query the upstreams of jobs that were cancelled before they started: one may have failed."""
    brief: bool = False
    """Learn only which jobs ended or were released again: the others are UNKNOWN here."""
    progress: Progress = show_nothing
    """Called with the number of jobs whose state is known."""
    unrecorded: Callable[[RecordError], None] = _raise
    """Called if final states cannot be written into the launch records; raises the error."""


def recorded_jobs(runs: Iterable[RecordedRun]) -> dict[str, Job]:
    """Return each run's job by run directory, as the launch records tell; no connection is made."""
    return {
        each.run.directory: _recorded_job(each) or _unknown(each, "not queried: offline")
        for each in runs
    }


def query(
    runs: Iterable[RecordedRun], connect: Connect, options: QueryOptions = QueryOptions()
) -> dict[str, Job]:
    """Return each run's job by run directory; what could not be determined is UNKNOWN.

    Final states are written into the launch records, and not queried again.

    Raises:
        RemoteError: A remote cannot be queried.
        RecordError: A launch record cannot be written, and the options do not say otherwise.

    """
    runs = list(runs)
    jobs = {each.run.directory: job for each in runs if (job := _recorded_job(each))}
    unknown = [each for each in runs if each.run.directory not in jobs]
    for remote, group in grouped((each.launch.remote, each) for each in unknown).items():
        answers = _query_remote(group, connect(remote), options)
        if options.explain:
            answers |= _upstream_failed(group, answers, connect(remote))
        jobs |= answers
        by_directory = {recorded.run.directory: recorded for recorded in group}
        ended = [by_directory[name] for name in answers if answers[name].state.ended]
        try:
            share(ended, partial(_ends, answers), connect)
        except RecordError as error:
            options.unrecorded(error)
    return jobs


def release_again(runs: Iterable[RecordedRun], connect: Connect) -> list[str]:
    """Release the jobs of runs that are held although their release was recorded.

    Slurm loses a release that it acknowledged if its controller crashes right after.

    Args:
        runs: Runs that are not submitted again; those whose end is recorded are not queried.
        connect: Returns the connection to a remote.

    Returns:
        Messages for the user.

    """
    open_ends = [each for each in runs if each.run.stage is Stage.RELEASED and not each.run.final]
    try:
        jobs = query(open_ends, connect, QueryOptions(brief=True))
    except RemexError as error:
        return [f"could not determine whether jobs submitted earlier are held: {error}"]
    stuck = [job.id for job in jobs.values() if job.reason == RELEASED_AGAIN]
    if not stuck:
        return []
    named = some_of(stuck, SHOWN)
    return [f"{counted(len(stuck), 'job')} held though recorded as released: {named}: released"]


def _recorded_job(recorded: RecordedRun) -> Job | None:
    """Return the job of a run if the record is enough, without a query."""
    run = recorded.run
    if run.stage in {Stage.REFUSED, Stage.REJECTED}:
        return Job(run.job, JobState.REJECTED, run.why, source="record")
    if not run.settled and run.stage is not Stage.HELD:
        ours = "run --remex-submit again to finish it, or --remex-cancel to end it"
        owner = recorded.record.owner
        step = f"only {owner} can finish it, with --remex-submit" if owner else ours
        what = f"interrupted at {run.stage}"
        if run.why and run.stage in _UNSENT:
            what = f"not submitted: {run.why.splitlines()[0].rstrip()}"
        why = f"{what}: {step}"
        return Job(run.job, JobState.UNKNOWN, why, source="record")
    return run.final


def _query_remote(
    runs: list[RecordedRun], connection: Connection, options: QueryOptions
) -> dict[str, Job]:
    jobs: dict[str, Job] = {}
    request = Query(
        runs=connection.remote.runs,
        scheduler=connection.scheduler,
        queried=[_queried(recorded.run, options) for recorded in runs],
        cancel_orphans=True,
        certain=options.certain,
        brief=options.brief,
    )
    known = 0
    options.progress("asking about jobs", known, len(runs))
    for event in connection.ask(request):
        if isinstance(event, RunState):
            jobs[event.directory] = event.job
            known += 1
            options.progress("asking about jobs", known, len(runs))
    for recorded in runs:
        if recorded.run.directory not in jobs:
            jobs[recorded.run.directory] = _unknown(recorded, "the agent did not report its state")
    return jobs


def _upstream_failed(
    runs: list[RecordedRun], jobs: Mapping[str, Job], connection: Connection
) -> dict[str, Job]:
    """Return the jobs that Slurm cancelled because their upstream failed, as UPSTREAM FAILED."""
    cancelled = {
        recorded.run.directory: recorded.run.upstream
        for recorded in runs
        if recorded.run.upstream and _never_started(jobs[recorded.run.directory])
    }
    asked = {each.directory: RunJob(each.directory, each.job) for each in cancelled.values()}
    states = {name: job for name, job in jobs.items() if name in asked}
    left = [each for name, each in asked.items() if name not in states]
    request = Query(connection.remote.runs, connection.scheduler, left)
    for event in connection.ask(request) if left else ():
        if isinstance(event, RunState):
            states[event.directory] = event.job
    found: dict[str, Job] = {}
    for directory, before in cancelled.items():
        state = states.get(before.directory)
        if state is not None and state.state.failed:
            # of a chain only the first that failed says why
            is_first = before.directory not in cancelled
            ended = state.state if is_first else JobState.UPSTREAM_FAILED
            why = f"{before.node}, which it comes after, ended {ended}: job {before.job}"
            found[directory] = jobs[directory]._replace(state=JobState.UPSTREAM_FAILED, reason=why)
    return found


def _never_started(job: Job) -> bool:
    return job.state is JobState.CANCELLED and not job.elapsed


def _queried(run: RunRecord, options: QueryOptions) -> RunJob:
    released = options.release and run.stage is Stage.RELEASED and not run.header.held
    return RunJob(run.directory, run.job, released)


def _ends(jobs: Mapping[str, Job], runs: Iterable[RecordedRun]) -> Iterator[Ended]:
    for each in runs:
        yield Ended(each.run.commit.sha, jobs[each.run.directory])


def _unknown(recorded: RecordedRun, why: str) -> Job:
    return Job(recorded.run.job, JobState.UNKNOWN, why)


@dataclass(frozen=True, slots=True)
class Pace:
    """How to wait.

    Attributes:
        limit: Seconds to wait in all: None to query once, 0 for no limit.
        least: The least number of seconds between polls of a cluster; local polls are quicker.
        announce: Shows a line to the user.
        options: What each query does.
    """

    limit: float | None
    least: float
    announce: Callable[[str], None]
    options: QueryOptions = field(default_factory=QueryOptions)


def poll(
    runs: Sequence[RecordedRun], connections: Connections, pace: Pace
) -> Iterator[dict[str, Job]]:
    """Query runs until all jobs have ended, and yield all jobs by run directory each time.

    A job that has ended is not queried again. A broken link is reopened; if that is impossible, or
    if the first query fails, raises like `query`.
    """
    jobs: dict[str, Job] = {}
    on_cluster = any(recorded.launch.remote.host is not None for recorded in runs)
    took = 0.0

    def ask() -> dict[str, Job]:
        nonlocal took
        left = [
            recorded
            for recorded in runs
            if (job := jobs.get(recorded.run.directory)) is None or not job.state.ended
        ]
        asked, is_first = time.monotonic(), not jobs
        jobs.update(query(left, connections.to, pace.options))
        took = 0.0 if is_first else time.monotonic() - asked  # the first one logs in
        return dict(jobs)

    def ask_again() -> dict[str, Job]:
        return _reconnecting(ask, connections, pace) if jobs else ask()

    def least() -> float:
        return max(pace.least if on_cluster else 0.0, SHARE * took)

    yield from until_ended(ask_again, pace.limit, least)


def until_ended(
    ask: Callable[[], dict[str, Job]],
    limit: float | None,
    least: Callable[[], float] = lambda: 0.0,
) -> Iterator[dict[str, Job]]:
    """Yield the jobs repeatedly until all have ended, or `limit` seconds have passed.

    If only jobs in the state UNKNOWN are left, the wait ends: they may stay so for ever.

    Args:
        ask: Returns the jobs.
        limit: None to query once, 0 for no limit.
        least: Returns the least number of seconds until the next query.

    """
    begun, pause = time.monotonic(), FIRST
    while True:
        jobs = ask()
        yield jobs
        left = _left(limit, time.monotonic() - begun)
        if left <= 0 or not any(job.state.live for job in jobs.values()):
            return
        time.sleep(min(max(pause, least()), left))
        pause = min(pause * GROWTH, LAST)


def _reconnecting(
    ask: Callable[[], dict[str, Job]], connections: Connections, pace: Pace
) -> dict[str, Job]:
    """Query, and if the link is broken reconnect and query again, with growing pauses.

    Raises:
        RemoteError: The cluster refuses the connection, or its login needs the user.

    """
    begun, pause = time.monotonic(), RETRY_FIRST
    while True:
        try:
            jobs = ask()
        except (ConnectionLostError, UnreachableError) as error:
            left = _left(pace.limit, time.monotonic() - begun)
            if left <= 0:
                raise
            seconds = min(pause, left)
            what = str(error).partition(": ")[0]
            pace.announce(f"remex: {what}: reconnecting in {seconds:.0f} s; the jobs keep running")
            time.sleep(seconds)
            connections.drop_broken()
            pause = min(pause * RETRY_GROWTH, RETRY_LAST)
        else:
            if pause > RETRY_FIRST:
                pace.announce("remex: reconnected")
            return jobs


def _left(limit: float | None, elapsed: float) -> float:
    if limit is None:
        return 0.0
    return float("inf") if limit == 0 else limit - elapsed
