"""Job ids as sbatch gives them: `123`, `123_7` for a task, `123;cluster` for another cluster's."""

from collections.abc import Iterable


def cluster_of(job: str) -> str:
    """Give the cluster that an id names, empty for the default one."""
    return job.partition(";")[2]


def local_of(job: str) -> str:
    """Give an id without its cluster."""
    return job.partition(";")[0]


def whole_of(job: str) -> str:
    """Give the id of the job or array that an id without cluster belongs to."""
    return job.partition("_")[0]


def by_cluster(jobs: Iterable[str]) -> dict[str, list[str]]:
    """Sort ids by their cluster; the lists hold ids without it."""
    sorted_: dict[str, list[str]] = {}
    for job in jobs:
        sorted_.setdefault(cluster_of(job), []).append(local_of(job))
    return sorted_


def full(job: str, cluster: str) -> str:
    """Put an id and its cluster together again."""
    return f"{job};{cluster}" if cluster else job
