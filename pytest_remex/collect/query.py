"""Asks where runs are: one question for each remote, whatever the number of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any

from pytest_remex.model import Job, JobState, Remote
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import LaunchRecord, Stage
from pytest_remex.records.store import Journal, ended
from pytest_remex.transport import Connection

BEFORE = {
    Stage.REFUSED: JobState.REJECTED,
    Stage.REJECTED: JobState.REJECTED,
}
"""The states of runs that never had a job, which no scheduler is asked for."""

_FACTS = tuple(each.name for each in fields(Job))


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
    for answer in connection.ask(
        "query",
        runs=connection.remote.runs,
        scheduler="local" if connection.remote.host is None else "slurm",
        sweep_strays=True,
        runs_to_query=[
            {
                "directory": run.entry.directory,
                "job": run.entry.job,
                "token": run.record.launch.token,
            }
            for run in runs
        ],
    ):
        if answer["event"] == "job":
            jobs[answer.field("directory", str)] = job_from(answer.field("job", dict))
    _remember([by_directory[name] for name in jobs if jobs[name].state.ended], jobs)
    return jobs


def _remember(runs: list[RecordedRun], jobs: Mapping[str, Job]) -> None:
    by_record: dict[int, tuple[LaunchRecord, list[RecordedRun]]] = {}
    for run in runs:
        by_record.setdefault(id(run.record), (run.record, []))[1].append(run)
    for record, group in by_record.values():
        journal = Journal.resume(record)
        journal.write(
            ended(run.entry.commit.sha, job_to(jobs[run.entry.directory])) for run in group
        )
        journal.close()


def job_to(job: Job) -> dict[str, object]:
    """Give a job as a launch record keeps it."""
    return {name: getattr(job, name) for name in _FACTS}


def job_from(facts: Mapping[str, Any]) -> Job:
    """Read a job as the agent or a launch record gives it; an unknown word is UNKNOWN."""
    known = {name: facts[name] for name in _FACTS if name in facts}
    word = str(known.pop("state", ""))
    state = JobState(word) if word in JobState.__members__ else JobState.UNKNOWN
    return Job(state=state, **known)


def _unknown(run: RecordedRun, why: str) -> Job:
    return Job(run.entry.job, JobState.UNKNOWN, why)
