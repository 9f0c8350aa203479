"""Check that a job id is still ours: Slurm reuses ids after its controller lost jobs in a crash.

A job is ours if its WorkDir is the run directory, or the folder of the array or pack that the run
belongs to, now or before the runs folder was moved. This is checked wherever Slurm reports a job.
"""

import calendar
import os
import re
import time
from typing import Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from pytest_remex.agent import fs
from pytest_remex.agent.errors import UnreadableError
from pytest_remex.agent.slurm import groups, parse
from pytest_remex.agent.slurm.client import SlurmClient
from pytest_remex.agent.slurm.parse import SqueueRow, without_colours
from pytest_remex.common import paths
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import JobId, number_of
from pytest_remex.common.parts import RunJob

_DAY = 86400.0
_NAMED = re.compile(r"_time_(\d{4}(?:_\d\d){5})_sha_")
_QUOTES = str.maketrans("\"'", "``")


def spellings(folder: str) -> Set[str]:
    """Return the spellings of a folder in a job's WorkDir; sacct replaces quotes by backticks.

    Colours are removed from Slurm's answers, and line breaks from scontrol's. The folder's path
    contains no links: `serve` resolves the runs folder.
    """
    plain = {folder, folder.translate(_QUOTES), without_colours(folder)}
    return plain | {folder.replace("\n", " ")}


def is_folder(work_dir: str, folder: str) -> bool:
    """Return whether a job's WorkDir is a folder, or was it before the runs folder was moved.

    The names of our folders are not used twice: one that is gone was moved to where it is now.
    """
    if work_dir in spellings(folder):
        return True
    if os.path.basename(work_dir) != os.path.basename(folder) or not os.path.isdir(folder):
        return False
    return not os.path.lexists(work_dir) or os.path.realpath(work_dir) == folder


class LocatedJob(NamedTuple):
    """The job of a run on its cluster: `job` is the id without the cluster's name.

    `released` means that its release was recorded.
    """

    directory: str
    runs: str
    job: str
    cluster: str
    released: bool = False

    @property
    def id(self) -> str:
        """The id with the cluster's name."""
        return str(JobId.parse(self.job)._replace(cluster=self.cluster))

    @property
    def path(self) -> str:
        """The run directory's path."""
        return os.path.join(self.runs, self.directory)

    @property
    def number(self) -> str:
        """The job's number; for an array's task, the number of the array."""
        return number_of(self.job)

    @property
    def owner(self) -> str:
        """The run's owner if that is another user, whose jobs Slurm may hide; else empty."""
        try:
            return fs.owner(os.lstat(self.path))
        except OSError:
            return ""

    @property
    def earliest(self) -> float:
        """A time before the job was submitted, in seconds since 1970.

        Files may have been touched, as against a purge, or copied, and the name is in the local
        time of a client: the earlier one counts.
        """
        try:
            written = os.lstat(paths.in_run(self.path, paths.RUN)).st_mtime
        except OSError:
            written = time.time() - 364 * _DAY
        earlier = min(written, _named_time(self.directory)) - _DAY
        return max(earlier, _DAY)  # sacct takes no time before 1970

    def has_begun(self) -> bool:
        """Return whether something was made in the run directory after its job was noted."""
        try:
            noted = os.lstat(paths.in_run(self.path, paths.JOB)).st_mtime_ns
            return os.lstat(self.path).st_mtime_ns > noted
        except OSError:
            return False

    def is_packed(self) -> bool:
        """Return whether the run belongs to a pack, without reading its run directory."""
        return any(groups.packs(group, self.directory) for group in self._groups())

    def owns(self, work_dir: str) -> bool:
        """Return whether a job with this WorkDir is this run's."""
        if not work_dir or is_folder(work_dir, self.path):
            return True
        group = os.path.join(paths.groups(self.runs), os.path.basename(work_dir))
        return is_folder(work_dir, group) and self._may_be_in_group(group)

    def is_shown(self, text: str) -> bool:
        """Return whether `scontrol -o show job` shows this run's job."""
        return any(map(self.owns, parse.work_dirs(text)))

    def _may_be_in_group(self, group: str) -> bool:
        """Return whether the run belongs to a group, or whether that cannot be known.

        Another user's group may not be readable; a name changed by sacct, see `spellings`, is not
        found. Neither proves that the job is not ours.
        """
        return self._is_in_group(group) or not os.access(group, os.R_OK | os.X_OK)

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


def _named_time(directory: str) -> float:
    """Return the time in a run directory's name, as that of the time zone that is ahead most."""
    found = _NAMED.search(directory)
    try:
        named = time.strptime(found.group(1), "%Y_%m_%d_%H_%M_%S") if found else None
    except ValueError:
        named = None
    return calendar.timegm(named) - _DAY if named else time.time()


def locate(runs: str, asked: Iterable[RunJob]) -> Dict[str, List[LocatedJob]]:
    """Return the jobs of runs by cluster, "" for the default one."""
    jobs = ((run, JobId.parse(run.job)) for run in asked)
    located = (
        LocatedJob(run.directory, runs, job.on_cluster, job.cluster, run.released)
        for run, job in jobs
    )
    return grouped((one.cluster, one) for one in located)


def note_cluster(runs: str, name: str) -> None:
    """Record that jobs of a runs folder are submitted to a cluster, unless its name is empty."""
    path = os.path.join(paths.clusters(runs), name)
    if name and not os.path.lexists(path):
        fs.make_common(runs, os.path.dirname(path))
        fs.touch(path)


def noted_clusters(runs: str) -> List[str]:
    """Return the clusters to which jobs of a runs folder were submitted."""
    return sorted(fs.listing(paths.clusters(runs)))


class JobListing:
    """The user's jobs that a controller currently remembers, by number."""

    def __init__(self, rows: List[SqueueRow]) -> None:
        self.rows = rows
        self._by_id = {row.id: row for row in rows}
        self._held = {number_of(row.id) for row in rows if row.held_by_user}
        # the tasks of an array share one folder, which is checked once for all of them
        self._starts: Dict[str, Set[Tuple[str, str]]] = {}
        for row in rows:
            array = number_of(row.id) if "_" in row.id else ""
            # an array task also has a job number of its own, which no other job can have
            for number in {number_of(row.id), row.raw}:
                start = ("" if array == number else array, row.work_dir)
                self._starts.setdefault(number, set()).add(start)

    @classmethod
    def ask(cls, slurm: SlurmClient, cluster: str, jobs: Iterable[LocatedJob] = ()) -> "JobListing":
        """Ask the controller about all jobs of the user, or only these; fails as `listing`."""
        return cls(slurm.listing(cluster, [job.number for job in jobs]))

    def row(self, job: LocatedJob) -> Optional[SqueueRow]:
        """Return the row of a run's own job; None if there is none."""
        row = self._by_id.get(job.job)
        return row if row is not None and job.owns(row.work_dir) else None

    def lists(self, job: LocatedJob) -> bool:
        """Return whether the controller lists a job of the user with this number, ours or not."""
        return job.number in self._starts

    def is_another(self, job: LocatedJob) -> bool:
        """Return whether the number of a run's job now belongs to another job."""
        starts = self._starts.get(job.number, ())
        return any(array or not job.owns(work_dir) for array, work_dir in starts)

    def row_is_held(self, job: LocatedJob) -> bool:
        """Return whether a run's own row is held by its user."""
        row = self.row(job)
        return row is not None and row.held_by_user

    def is_held(self, job: LocatedJob) -> bool:
        """Return whether a job, or a task of its array, is held by its user."""
        return job.number in self._held
