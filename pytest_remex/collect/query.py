"""Asks where runs are: one question for each remote, whatever the number of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.protocol import Query, RunJob, RunState
from pytest_remex.common.typed_json import to_json
from pytest_remex.model import Remote
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import LaunchRecord, Stage
from pytest_remex.records.store import Journal, ended
from pytest_remex.transport import Connection

BEFORE = {
    Stage.REFUSED: JobState.REJECTED,
    Stage.REJECTED: JobState.REJECTED,
}
"""The states of runs that never had a job, which no scheduler is asked for."""


def query(
    runs: Iterable[RecordedRun], connect: Callable[[Remote], Connection], *, offline: bool = False
) -> dict[str, Job]:
    """Give each run's job by run directory; what could not be learnt is UNKNOWN.

    Final states are written into the launch records, and not asked for again. Raises
    `RemoteError` where a remote cannot be asked, and `RecordError` where a launch
    record cannot be written.
    """
    jobs: dict[str, Job] = {}
    asked: dict[Remote, list[RecordedRun]] = {}
    for run in runs:
        known = _known(run)
        if known is None and not offline:
            asked.setdefault(run.record.launch.remote, []).append(run)
        else:
            jobs[run.entry.directory] = known or _unknown(run, "offline: not asked")
    for remote, group in asked.items():
        jobs |= _ask(group, connect(remote))
    return jobs


def _known(run: RecordedRun) -> Job | None:
    entry = run.entry
    if entry.stage in BEFORE:
        return Job(entry.job, BEFORE[entry.stage], entry.why, source="record")
    if not entry.stage.settled and entry.stage is not Stage.HELD:
        why = f"its submission was interrupted at {entry.stage}: run --remex-submit again"
        return Job(entry.job, JobState.UNKNOWN, why, source="record")
    return job_from(entry.ended) if entry.ended else None


def _ask(runs: list[RecordedRun], connection: Connection) -> dict[str, Job]:
    by_directory = {run.entry.directory: run for run in runs}
    jobs = {name: _unknown(run, "the agent gave no state") for name, run in by_directory.items()}
    request = Query(
        runs=connection.remote.runs,
        scheduler=connection.scheduler,
        queried=[RunJob(run.entry.directory, run.entry.job) for run in runs],
        cancel_orphans=True,
    )
    for event in connection.ask(request):
        if isinstance(event, RunState):
            jobs[event.directory] = event.job
    _remember([by_directory[name] for name in jobs if jobs[name].state.ended], jobs)
    return jobs


def _remember(runs: list[RecordedRun], jobs: Mapping[str, Job]) -> None:
    by_record: dict[int, tuple[LaunchRecord, list[RecordedRun]]] = {}
    for run in runs:
        by_record.setdefault(id(run.record), (run.record, []))[1].append(run)
    for record, group in by_record.values():
        journal = Journal.resume(record)
        journal.write(
            ended(run.entry.commit.sha, to_json(jobs[run.entry.directory])) for run in group
        )
        journal.close()


def job_from(facts: Mapping[str, Any]) -> Job:
    """Read a job as a launch record keeps it; an unknown word is UNKNOWN."""
    known = {name: facts[name] for name in Job._fields if name in facts}
    return Job(**{**known, "state": JobState(known.get("state", ""))})


def _unknown(run: RecordedRun, why: str) -> Job:
    return Job(run.entry.job, JobState.UNKNOWN, why)
