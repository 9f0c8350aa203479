"""The invariants after any crash, once the same command has been run again."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from support.projects import git

if TYPE_CHECKING:
    from pathlib import Path

    from support.launches import User
    from support.slurm import SlurmCluster, SlurmJob

OURS = "remex-output/"
KEPT = ("index", "HEAD", "config", "ORIG_HEAD", "FETCH_HEAD", "packed-refs", "info/exclude")


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of a repository: every file, and all files of git except objects."""

    files: dict[str, str]
    refs: str
    entries: tuple[str, ...]
    status: str

    @classmethod
    def of(cls, repository: Path) -> Snapshot:
        """Take a snapshot; remex-output, git's objects and refs/remex/ are left out."""
        work_tree = [
            path
            for path in repository.rglob("*")
            if path.is_file() and path.relative_to(repository).parts[0] not in {".git", OURS[:-1]}
        ]
        kept = [path for name in KEPT if (path := repository / ".git" / name).is_file()]
        status = git(repository, "--no-optional-locks", "status", "--porcelain", "--ignored")
        refs = git(repository, "for-each-ref", "--format=%(refname) %(objectname)")
        return cls(
            files={
                str(path.relative_to(repository)): hashlib.sha256(path.read_bytes()).hexdigest()
                for path in [*work_tree, *kept]
            },
            refs="\n".join(line for line in refs.splitlines() if "refs/remex/" not in line),
            entries=_entries(repository / ".git"),
            status="\n".join(line for line in status.splitlines() if OURS not in line),
        )


def _entries(folder: Path) -> tuple[str, ...]:
    """Name what lies in .git itself; an empty folder of work trees is none."""
    names = {entry.name for entry in folder.iterdir()}
    worktrees = folder / "worktrees"
    if worktrees.is_dir() and not any(worktrees.iterdir()):
        names.discard("worktrees")
    return tuple(sorted(names - {"packed-refs", "logs"}))


def jobs_below(cluster: SlurmCluster, runs: Path) -> dict[str, list[SlurmJob]]:
    """Return the jobs of a runs folder that the controller remembers, by their runs.

    That is a run directory, or an array's folder and the number of the task.
    """
    found: dict[str, list[SlurmJob]] = {}
    for job in cluster.jobs():
        if runs in job.work_dir.parents:
            task = job.id.partition("_")[2]
            found.setdefault(f"{job.work_dir.relative_to(runs)}/{task}", []).append(job)
    return found


def user_jobs(user: User, cluster: SlurmCluster, *states: str) -> list[SlurmJob]:
    """Return the user's jobs that the controller remembers; with states, those in one of them."""
    several = jobs_below(cluster, user.project.runs).values()
    return [job for jobs in several for job in jobs if not states or job.state in states]


def executions(user: User) -> Counter[str]:
    """Return how often each experiment ran, by the commit in its run directory's name.

    A project's script writes one line into `ran` each time.
    """
    ran: Counter[str] = Counter()
    for directory in user.project.run_directories():
        note = directory / "ran"
        ran[directory.name[-12:]] += note.read_text().count("ran\n") if note.exists() else 0
    return ran


def assert_once(user: User, cluster: SlurmCluster, count: int) -> None:
    """Assert that so many experiments have one released job each, and that each ran once."""
    assert len(assert_ran_once(user, cluster, count)) == count


def assert_ran_once(user: User, cluster: SlurmCluster, count: int) -> dict[str, list[SlurmJob]]:
    """Assert that so many experiments ran once each, with one released job each.

    Returns:
        The jobs, as `jobs_below` returns them.
    """
    cluster.wait()
    directories = user.project.run_directories()
    assert len(directories) == count, directories
    assert [(path / "ran").read_text() for path in directories] == ["ran\n"] * count
    jobs = jobs_below(cluster, user.project.runs)
    for several in jobs.values():
        released = [job.state for job in several if job.state != "CANCELLED"]
        assert released == ["COMPLETED"], several
    return jobs


def assert_clean(user: User, before: Snapshot) -> None:
    """Assert that no temporary branch is left, and that the user's repository is as it was."""
    project = user.project
    assert project.branches() == {name: ["main"] for name in project.branches()}
    listing = ("for-each-ref", "--format=%(refname)", "refs/remex")
    assert git(project.clone, *listing) == ""
    assert git(project.origin, *listing) == ""
    assert git(project.clone, "status", "--porcelain", "--ignored") == ""
    staging = project.runs / ".remex" / "staging"
    assert not staging.exists() or not any(staging.iterdir())
    after = Snapshot.of(user.repository)
    for each in fields(Snapshot):
        assert getattr(after, each.name) == getattr(before, each.name), each.name
