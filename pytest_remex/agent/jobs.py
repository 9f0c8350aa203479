"""The account of a job that goes back to the client."""

from typing import Dict, NamedTuple, Optional


class Job(NamedTuple):
    """What is known of a job: times in seconds, memory in bytes, None where not known.

    `source` says who knew: squeue, sacct, scontrol, exit file, record, local.
    """

    id: str
    state: str
    reason: str = ""
    exit_code: Optional[int] = None
    signal: Optional[int] = None
    elapsed: Optional[float] = None
    time_limit: Optional[float] = None
    memory: Optional[int] = None
    memory_limit: Optional[int] = None
    cores: Optional[int] = None
    source: str = ""

    def as_json(self) -> Dict[str, object]:
        """Give the account as an answer's field."""
        return dict(self._asdict())


ENDED = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "TIMEOUT",
    }
)
"""States that do not change any more."""
