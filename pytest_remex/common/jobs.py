"""The account of a job that goes back to the client."""

from typing import NamedTuple


class Job(NamedTuple):
    """What is known of a job: times in seconds, memory in bytes, None where not known.

    `source` says who knew: squeue, sacct, scontrol, exit file, record, local.
    """

    id: str
    state: str
    reason: str = ""
    exit_code: int | None = None
    signal: int | None = None
    elapsed: float | None = None
    time_limit: float | None = None
    memory: int | None = None
    memory_limit: int | None = None
    cores: int | None = None
    source: str = ""

    def as_json(self) -> dict[str, object]:
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
