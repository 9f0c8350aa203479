"""Whose a job is: Slurm gives numbers again when its controller has lost jobs in a crash.

A job is ours when it starts (its WorkDir) in the run directory, or in the folder of the array or
pack that the run belongs to. This is compared wherever Slurm tells of a number.
"""

import os
import pwd
import time
from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from pytest_remex.agent import fs
from pytest_remex.agent.errors import UnreadableError
from pytest_remex.agent.slurm import client, groups
from pytest_remex.agent.slurm.parse import SqueueRow
from pytest_remex.common import paths
from pytest_remex.common.jobs import JobId, number_of
from pytest_remex.common.parts import RunJob

_DAY = 86400.0
_QUOTES = str.maketrans("\"'", "``")


def spellings(folder: str) -> Set[str]:
    """Return the ways in which a job's WorkDir may name a folder; sacct has accents for quotes.

    The folder's path has no links in it: `serve` resolves the runs folder.
    """
    return {folder, folder.translate(_QUOTES)}


class LocatedJob(NamedTuple):
    """The job of a run on its cluster: `job` is the id as the commands there take it.

    `released` says that its release was recorded.
    """

    directory: str
    runs: str
    job: str
    cluster: str
    released: bool = False

    @property
    def id(self) -> str:
        """The whole id."""
        return str(JobId.parse(self.job)._replace(cluster=self.cluster))

    @property
    def path(self) -> str:
        """The run directory's path."""
        return os.path.join(self.runs, self.directory)

    @property
    def number(self) -> str:
        """The job's number, of an array's task that of the array."""
        return number_of(self.job)

    @property
    def owner(self) -> str:
        """Whose run it is where that is another user, whose jobs Slurm may hide; else empty."""
        try:
            uid = os.lstat(self.path).st_uid
        except OSError:
            return ""
        if uid == os.getuid():
            return ""
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    @property
    def earliest(self) -> float:
        """A time before the job was submitted, in seconds since 1970."""
        try:
            return os.lstat(paths.in_run(self.path, paths.RUN)).st_mtime - _DAY
        except OSError:
            return time.time() - 365 * _DAY

    def is_packed(self) -> bool:
        """Return whether the run belongs to a pack, without a look into its run directory."""
        return any(groups.packs(group, self.directory) for group in self._groups())

    def owns(self, work_dir: str) -> bool:
        """Return whether a job that starts in a folder is this run's."""
        above, name = os.path.split(work_dir)
        if above in spellings(paths.groups(self.runs)):
            group = os.path.join(paths.groups(self.runs), name)
            # a name that sacct has changed, see `spellings`, is not found
            return self._is_in_group(group) or not os.path.isdir(group)
        return not work_dir or work_dir in spellings(self.path)

    def work_dirs(self) -> Set[str]:
        """Return all that the WorkDir of this run's job may be."""
        mine = [self.path, *(group for group in self._groups() if self._is_in_group(group))]
        return {name for folder in mine for name in spellings(folder)}

    def _is_in_group(self, group: str) -> bool:
        task = JobId.parse(self.job).task
        if task:
            return groups.run_of_task(group, task) == self.directory
        try:
            return groups.pack_of(self.path) == os.path.basename(group)
        except UnreadableError:
            return groups.packs(group, self.directory)

    def _groups(self) -> List[str]:
        above = paths.groups(self.runs)
        return [os.path.join(above, name) for name in fs.listing(above)]


def locate(runs: str, asked: Iterable[RunJob]) -> Dict[str, List[LocatedJob]]:
    """Return the jobs of runs by cluster, "" for the default one."""
    located: Dict[str, List[LocatedJob]] = {}
    for run in asked:
        job = JobId.parse(run.job)
        one = LocatedJob(run.directory, runs, job.on_cluster, job.cluster, run.released)
        located.setdefault(job.cluster, []).append(one)
    return located


class Listing:
    """The user's jobs that a controller remembers just now, by their numbers."""

    def __init__(self, rows: List[SqueueRow]) -> None:
        self.rows = rows
        self._by_id = {row.id: row for row in rows}
        self._held = {number_of(row.id) for row in rows if row.held_by_user}
        # the tasks of an array start in one folder: it is looked at once for all of them
        self._starts: Dict[str, Set[Tuple[str, str]]] = {}
        for row in rows:
            array = number_of(row.id) if "_" in row.id else ""
            # a task of an array has a number of its own too, which no other job can have
            for number in {number_of(row.id), row.raw}:
                start = ("" if array == number else array, row.work_dir)
                self._starts.setdefault(number, set()).add(start)

    @classmethod
    def ask(cls, cluster: str) -> "Listing":
        """Ask the controller; an error of kind slurm where it cannot be asked."""
        return cls(client.listing(cluster))

    def row(self, job: LocatedJob) -> Optional[SqueueRow]:
        """Return the row of a run's own job, None where there is none."""
        row = self._by_id.get(job.job)
        return row if row is not None and job.owns(row.work_dir) else None

    def lists(self, job: LocatedJob) -> bool:
        """Return whether the controller knows this number as the user's, whosever it is."""
        return job.number in self._starts

    def is_another(self, job: LocatedJob) -> bool:
        """Return whether the number of a run's job is another job's by now."""
        starts = self._starts.get(job.number, ())
        return any(array or not job.owns(work_dir) for array, work_dir in starts)

    def row_is_held(self, job: LocatedJob) -> bool:
        """Return whether a run's own row says that it waits for its user's release."""
        row = self.row(job)
        return row is not None and row.held_by_user

    def is_held(self, job: LocatedJob) -> bool:
        """Return whether a job, or a task of its array, waits for its user's release."""
        return job.number in self._held
