"""Queries the states of runs: one request for each remote, whatever the number of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.parts import RunJob
from pytest_remex.common.protocol import Query, RunState
from pytest_remex.model import Remote
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import Ended, Stage
from pytest_remex.records.store import Journal, LaunchRecord
from pytest_remex.transport import Connection

Connect: TypeAlias = Callable[[Remote], Connection]
"""Returns the connection to a remote, and opens it where there is none yet."""


def query(
    runs: Iterable[RecordedRun], connect: Connect, *, offline: bool = False
) -> dict[str, Job]:
    """Return each run's job by run directory; what could not be determined is UNKNOWN.

    Final states are written into the launch records, and not queried again.

    Args:
        runs: The runs.
        connect: Returns the connection to a remote.
        offline: Take only what the launch records know.

    Raises:
        RemoteError: A remote cannot be queried.
        RecordError: A launch record cannot be written.

    """
    jobs: dict[str, Job] = {}
    unknown: dict[Remote, list[RecordedRun]] = {}
    for recorded in runs:
        job = _recorded_job(recorded)
        if job is None and not offline:
            unknown.setdefault(recorded.launch.remote, []).append(recorded)
        else:
            directory = recorded.run.directory
            jobs[directory] = job or _unknown(recorded, "offline: it was not queried")
    for remote, group in unknown.items():
        jobs |= _query_remote(group, connect(remote))
    return jobs


def _recorded_job(recorded: RecordedRun) -> Job | None:
    """Return the job of a run that no scheduler needs to be asked for."""
    run = recorded.run
    if run.stage in {Stage.REFUSED, Stage.REJECTED}:
        return Job(run.job, JobState.REJECTED, run.why, source="record")
    if not run.stage.settled and run.stage is not Stage.HELD:
        why = f"its submission was interrupted at {run.stage}: run --remex-submit again"
        return Job(run.job, JobState.UNKNOWN, why, source="record")
    return run.final


def _query_remote(runs: list[RecordedRun], connection: Connection) -> dict[str, Job]:
    by_directory = {recorded.run.directory: recorded for recorded in runs}
    jobs = {
        directory: _unknown(recorded, "the agent did not report its state")
        for directory, recorded in by_directory.items()
    }
    request = Query(
        runs=connection.remote.runs,
        scheduler=connection.scheduler,
        queried=[RunJob(recorded.run.directory, recorded.run.job) for recorded in runs],
        cancel_orphans=True,
    )
    for event in connection.ask(request):
        if isinstance(event, RunState):
            jobs[event.directory] = event.job
    _record_final([by_directory[name] for name in jobs if jobs[name].state.ended], jobs)
    return jobs


def _record_final(runs: list[RecordedRun], jobs: Mapping[str, Job]) -> None:
    by_record: dict[int, tuple[LaunchRecord, list[RecordedRun]]] = {}
    for recorded in runs:
        _, group = by_record.setdefault(id(recorded.record), (recorded.record, []))
        group.append(recorded)
    for record, group in by_record.values():
        journal = Journal.resume(record)
        journal.write(Ended(each.run.commit.sha, jobs[each.run.directory]) for each in group)
        journal.close()


def _unknown(recorded: RecordedRun, why: str) -> Job:
    return Job(recorded.run.job, JobState.UNKNOWN, why)
