"""What squeue, sacct and scontrol say of a job, as a `Job`."""

from typing import Dict

from pytest_remex.agent.slurm import parse
from pytest_remex.agent.slurm.parse import SacctRow, SqueueRow
from pytest_remex.common.jobs import Job, JobState

_HOLDS = ("JobHeldUser", "JobHeldAdmin")

_WORDS: Dict[str, JobState] = {
    "BOOT_FAIL": JobState.BOOT_FAIL,
    "CANCELLED": JobState.CANCELLED,
    "COMPLETED": JobState.COMPLETED,
    "COMPLETING": JobState.COMPLETING,
    "CONFIGURING": JobState.PENDING,
    "DEADLINE": JobState.DEADLINE,
    "EXPEDITING": JobState.PENDING,
    "FAILED": JobState.FAILED,
    "LAUNCH_FAILED": JobState.NODE_FAIL,
    "NODE_FAIL": JobState.NODE_FAIL,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "PENDING": JobState.PENDING,
    "POWER_UP_NODE": JobState.PENDING,
    "PREEMPTED": JobState.PREEMPTED,
    "RECONFIG_FAIL": JobState.NODE_FAIL,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.HELD,
    "RESIZING": JobState.RUNNING,
    "RESV_DEL_HOLD": JobState.HELD,
    "RUNNING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "SPECIAL_EXIT": JobState.HELD,
    "STAGE_OUT": JobState.COMPLETING,
    "STOPPED": JobState.SUSPENDED,
    "SUSPENDED": JobState.SUSPENDED,
    "TIMEOUT": JobState.TIMEOUT,
}


def state_of(word: str, reason: str = "") -> JobState:
    """Return the state for a word of squeue, sacct or scontrol; a new word is UNKNOWN.

    sacct says more than the word, as in `CANCELLED by 1000`.
    """
    first = word.split(None, 1)[0].rstrip("+") if word.strip() else ""
    state = _WORDS.get(first, JobState.UNKNOWN)
    return JobState.HELD if state is JobState.PENDING and reason in _HOLDS else state


def from_listing(row: SqueueRow) -> Job:
    """Return a job as squeue tells it; exit codes come apart."""
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


def from_account(account: SacctRow) -> Job:
    """Return a job as sacct tells it."""
    return Job(
        id=account.id,
        state=state_of(account.word),
        reason=account.word if " " in account.word else "",
        exit_code=account.exit_code,
        signal=account.signal or None,
        elapsed=account.elapsed,
        time_limit=account.time_limit,
        memory=account.memory,
        memory_limit=account.memory_limit,
        cores=account.cores,
        source="sacct",
    )


def from_scontrol(job: str, shown: Dict[str, str]) -> Job:
    """Return a job as `scontrol show job` tells it."""
    code, number = parse.exit_code(shown.get("ExitCode", "0:0"))
    reason = shown.get("Reason", "")
    return Job(
        id=job,
        state=state_of(shown.get("JobState", ""), reason),
        reason="" if reason == "None" else reason,
        exit_code=code,
        signal=number or None,
        elapsed=parse.duration(shown.get("RunTime", "")),
        time_limit=parse.duration(shown.get("TimeLimit", "")),
        source="scontrol",
    )
