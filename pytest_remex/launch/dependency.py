"""The run that a run comes after, and sbatch's options for a job that waits for another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pytest_remex.common.jobs import JobId
from pytest_remex.common.parts import UpstreamFiles
from pytest_remex.records.fields import UpstreamRun


class Dependency(NamedTuple):
    """The upstream of a run, as known when the run is sent.

    `waits` says that the upstream's job has not ended; `in_pack` that it shares its job with the
    other runs of a pack.
    """

    run: UpstreamRun
    waits: bool
    in_pack: bool = False

    @property
    def to_check(self) -> UpstreamFiles | None:
        """What the job checks when it starts; None for nothing."""
        if not self.run.brought and not self.in_pack:
            return None
        run = self.run
        return UpstreamFiles(run.directory, dict(run.brought), self.in_pack, list(run.copied))


def dependency_option(dependencies: Sequence[Dependency]) -> str:
    """Return sbatch's option for the dependency; empty if it waits for no job.

    Args:
        dependencies: The upstream of each of its runs, in the order of an array's tasks.

    Example:
        >>> run = UpstreamRun("n", {}, "l", "c", "d", "12_0")
        >>> dependency_option([Dependency(run, waits=True)])
        'afterok:12_0'

    """
    waiting = [each for each in dependencies if each.waits]
    if not waiting:
        return ""
    if array := _array_of(dependencies):
        return f"aftercorr:{array}"
    jobs = dict.fromkeys(JobId.parse(each.run.job).on_cluster for each in waiting)
    kind = "afterany" if any(each.in_pack for each in waiting) else "afterok"
    return ":".join([kind, *jobs])


def clusters_option(dependencies: Sequence[Dependency]) -> list[str]:
    """Return sbatch's option for the cluster that has the jobs which a submission waits for.

    There is none if they are on the default cluster, or on several: then their numbers are those
    of a federation, which are unique.

    Example:
        >>> run = UpstreamRun("n", {}, "l", "c", "d", "12;east")
        >>> clusters_option([Dependency(run, waits=True)])
        ['--clusters=east']

    """
    known = {JobId.parse(each.run.job).cluster for each in dependencies if each.waits}
    return [f"--clusters={known.pop()}"] if len(known) == 1 and known != {""} else []


def fits_array(dependencies: Sequence[Dependency | None]) -> bool:
    """Return whether runs, in this order, come one to one after the tasks of one array."""
    known = [each for each in dependencies if each is not None and each.waits]
    return len(known) == len(dependencies) and bool(_array_of(known))


def waiting_key(dependency: Dependency | None) -> str:
    """Return the job that a run waits for, by which runs are grouped; empty for none."""
    return dependency.run.job if dependency and dependency.waits else ""


def _array_of(dependencies: Sequence[Dependency]) -> str:
    """Return the array of which each task comes before the run in its place; empty for none."""
    ids = [JobId.parse(each.run.job) for each in dependencies]
    in_place = all(one.task == str(place) for place, one in enumerate(ids))
    numbers = {one.number for one in ids}
    return numbers.pop() if len(ids) > 1 and in_place and len(numbers) == 1 else ""
