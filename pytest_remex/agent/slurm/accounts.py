"""What each of Slurm's sources says about a job, in the client's words."""

from typing import Dict

from pytest_remex.agent.slurm import parse
from pytest_remex.agent.slurm.parse import Accounted, Listed
from pytest_remex.agent.slurm.states import state_of
from pytest_remex.common.jobs import Job


def from_listing(row: Listed) -> Job:
    """Give a job as squeue tells it; exit codes come apart."""
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


def from_accounts(found: Accounted) -> Job:
    """Give a job as sacct tells it."""
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


def from_scontrol(job: str, said: Dict[str, str]) -> Job:
    """Give a job as `scontrol show job` tells it."""
    code, number = parse.exit_code(said.get("ExitCode", "0:0"))
    reason = said.get("Reason", "")
    return Job(
        id=job,
        state=state_of(said.get("JobState", ""), reason),
        reason="" if reason == "None" else reason,
        exit_code=code,
        signal=number or None,
        elapsed=parse.duration(said.get("RunTime", "")),
        time_limit=parse.duration(said.get("TimeLimit", "")),
        source="scontrol",
    )
