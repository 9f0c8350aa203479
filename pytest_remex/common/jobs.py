"""A job as the scheduler reports it: its id, its state and how it ended."""

import itertools
from enum import Enum
from typing import Dict, Iterable, List, NamedTuple, Optional

from pytest_remex.common.grouping import grouped

TOGETHER = 1000
"""Tasks of an array that one word names at most: it goes onto a command line."""


class JobState(str, Enum):
    """A job's state, in Slurm's terms; UNKNOWN, never FAILED, if it could not be determined."""

    HELD = "HELD"
    """Submitted, and not released yet."""
    PENDING = "PENDING"
    """Waiting in the queue."""
    RUNNING = "RUNNING"
    """Running."""
    SUSPENDED = "SUSPENDED"
    """Stopped for a while by the scheduler."""
    COMPLETING = "COMPLETING"
    """The script has ended; Slurm cleans up."""
    COMPLETED = "COMPLETED"
    """Ended with exit code 0."""
    FAILED = "FAILED"
    """Ended with another exit code, or by a signal."""
    TIMEOUT = "TIMEOUT"
    """Reached its time limit."""
    CANCELLED = "CANCELLED"
    """Cancelled, by `--remex-cancel` or by `scancel`."""
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    """Used more memory than it had asked for."""
    NODE_FAIL = "NODE_FAIL"
    """Its node failed."""
    PREEMPTED = "PREEMPTED"
    """Made room for a job of higher priority."""
    BOOT_FAIL = "BOOT_FAIL"
    """Its node did not start."""
    DEADLINE = "DEADLINE"
    """Reached its deadline."""
    UPSTREAM_FAILED = "UPSTREAM FAILED"
    """Did not run because the run that it comes after did not complete."""
    REJECTED = "REJECTED"
    """sbatch refused it."""
    LOST = "LOST"
    """Slurm gave it an id and then lost it."""
    PURGED = "PURGED"
    """Its run directory no longer exists."""
    UNKNOWN = "UNKNOWN"
    """Could not be determined; never counted as failed."""

    def __str__(self) -> str:
        """Return the state's name."""
        return str(self.value)

    @property
    def live(self) -> bool:
        """Whether the job is waiting or running."""
        return self in _LIVE

    @property
    def ended(self) -> bool:
        """Whether the job has ended, successfully or not."""
        return self is not JobState.UNKNOWN and not self.live

    @property
    def failed(self) -> bool:
        """Whether the job has ended without success."""
        return self.ended and self is not JobState.COMPLETED

    @classmethod
    def _missing_(cls, value: object) -> "JobState":  # noqa: ARG003 - as enum calls it
        """Return UNKNOWN for a state that is not in the list."""
        return cls.UNKNOWN


_LIVE = frozenset(
    {
        JobState.HELD,
        JobState.PENDING,
        JobState.RUNNING,
        JobState.SUSPENDED,
        JobState.COMPLETING,
    }
)
FORGOTTEN = "forgotten"
"""The source of an UNKNOWN job if Slurm answered and has no trace of it."""
RELEASED_AGAIN = "it was held though its release was recorded, and was released again"
"""The reason shown for a job whose release Slurm had lost."""
FINAL = frozenset(state for state in JobState if state.ended) - {
    JobState.REJECTED,
    JobState.LOST,
    JobState.PURGED,
}
"""The states in which a job that Slurm accepted can end; they do not change any more."""


class Job(NamedTuple):
    """What the scheduler reports about a run; None for a number that is unknown.

    Args:
        id: `123`, or `123_7` for an array's task; with a cluster's name `123;name`.
        state: Its state.
        reason: Why it is in this state, in Slurm's words or ours; empty if there is nothing to say.
        exit_code: The script's exit code.
        signal: The signal that ended the script.
        elapsed: How long it has run, in seconds.
        time_limit: The most that it may run, in seconds.
        memory: The most that it has used, in bytes.
        memory_limit: The memory that it asked for, in bytes.
        cores: How many cores it has.
        source: Who reported this: squeue, sacct, scontrol, slurm, exit file, record or local; or
            FORGOTTEN.

    Example:
        >>> Job("4711", JobState.TIMEOUT, elapsed=86412.0).state.failed
        True

    """

    id: str
    state: JobState
    reason: str = ""
    exit_code: Optional[int] = None
    signal: Optional[int] = None
    elapsed: Optional[float] = None
    time_limit: Optional[float] = None
    memory: Optional[int] = None
    memory_limit: Optional[int] = None
    cores: Optional[int] = None
    source: str = ""

    @property
    def is_forgotten(self) -> bool:
        """Whether Slurm answered and has no trace of the job."""
        return self.state is JobState.UNKNOWN and self.source == FORGOTTEN


class JobId(NamedTuple):
    """A job's id: `123`, `123_7` for an array's task; with a cluster `123;name`, `123_7;name`."""

    number: str
    task: str = ""
    cluster: str = ""

    @classmethod
    def parse(cls, text: str) -> "JobId":
        """Return the parts of an id in the form that sbatch and this package use.

        Example:
            >>> JobId.parse("123_4;federation")
            JobId(number='123', task='4', cluster='federation')

        """
        job, _, cluster = text.partition(";")
        number, _, task = job.partition("_")
        return cls(number, task, cluster)

    def __str__(self) -> str:
        """Return the id as text."""
        return self.on_cluster + (f";{self.cluster}" if self.cluster else "")

    @property
    def on_cluster(self) -> str:
        """The id without the cluster, as that cluster's commands take it: `123` or `123_7`."""
        return f"{self.number}_{self.task}" if self.task else self.number


def number_of(job: str) -> str:
    """Return the number of the job or array that an id belongs to: `123` of `123_4;cluster`."""
    return JobId.parse(job).number


def by_cluster(jobs: Iterable[str]) -> Dict[str, List[str]]:
    """Return the ids grouped by the cluster that they name, "" for the default one.

    The ids are without the cluster, in their order.
    """
    return grouped((job.cluster, job.on_cluster) for job in map(JobId.parse, jobs))


def with_cluster(job: str, cluster: str) -> str:
    """Return a job's id with its cluster; "" is the default one."""
    return str(JobId.parse(job)._replace(cluster=cluster))


def ranges(numbers: Iterable[int]) -> str:
    """Return ascending numbers as sbatch and scancel take those of an array's tasks.

    Example:
        >>> ranges([0, 1, 2, 5])
        '0-2,5'

    """
    words: List[str] = []
    for _, run in itertools.groupby(enumerate(numbers), lambda each: each[1] - each[0]):
        several = [number for _, number in run]
        words.append(f"{several[0]}-{several[-1]}" if several[1:] else str(several[0]))
    return ",".join(words)


def by_array(jobs: Iterable[str]) -> Dict[str, List[str]]:
    """Return ids, without a cluster, by the words that name them for scancel: an array's together.

    Example:
        >>> by_array(["7", "12_0", "12_1", "12_5"])
        {'7': ['7'], '12_[0-1,5]': ['12_0', '12_1', '12_5']}

    """
    arrays = grouped((job.number if job.task else "", job) for job in map(JobId.parse, jobs))
    found = {job.number: [job.number] for job in arrays.pop("", [])}
    for number, tasks in arrays.items():
        tasks.sort(key=lambda job: int(job.task))
        for start in range(0, len(tasks), TOGETHER):
            some = tasks[start : start + TOGETHER]
            word = f"{number}_[{ranges(int(job.task) for job in some)}]"
            one = some[0].on_cluster
            found[word if some[1:] else one] = [job.on_cluster for job in some]
    return found
