"""The launch records of this output folder and of runs folders, and experiments' runs in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pytest_remex.collect.sync import RemoteCommits, may_hold_records, sync
from pytest_remex.errors import RemoteError
from pytest_remex.launch.decision import KnownRuns
from pytest_remex.launch.options import Folders, Resubmit
from pytest_remex.launch.recognition import Recognizer
from pytest_remex.model import Remote, Repo
from pytest_remex.records.copies import Copies, additions_besides
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.store import read_records
from pytest_remex.repo.workspace import Prepared, Workspaces
from pytest_remex.sweep_file import SweepFiles

if TYPE_CHECKING:
    from pytest_remex.transport.connection import Connect


class KnownLaunches:
    """The launch records that a plan or a submit knows.

    Raises:
        RecordError: A record cannot be read.

    """

    def __init__(self, folders: Folders, workspaces: Workspaces, connect: Connect) -> None:
        self._folders = folders
        self._workspaces = workspaces
        self._connect = connect
        self._sweeps = SweepFiles(folders.top)
        self._own = read_records(folders.launches)
        self._read: set[tuple[Repo, Remote]] = set()
        self._has: dict[str, bool] = {}
        self._last_found: tuple[Prepared | None, RecordedRun | None] = (None, None)
        self.repos: dict[Remote, Repo] = {}
        """The remotes whose records are known, each with its repository."""
        self.unreachable: set[Remote] = set()
        """Those whose runs folder could not be read."""
        self._closed: list[str] = []
        self.sizes: dict[str, int] = {}
        """How many bytes of each record the runs folders have, by its name."""
        self._use_index(RunIndex(self._own))

    def read(self, repo: Repo, remote: Remote) -> list[str]:
        """Read, once, the launch records in a remote's runs folder.

        Returns:
            Messages on why some of them are ignored.

        Raises:
            RemexError: The remote cannot be queried, or one of its records cannot be used.

        """
        if (repo, remote) in self._read:
            return []
        if remote not in self.repos:
            self._copy_records(remote)
        return self._add_records(repo, remote)

    def read_if_reachable(self, repo: Repo, remote: Remote) -> list[str]:
        """Read records as `read` does; if the remote cannot be reached, a message says so."""
        if (repo, remote) in self._read:
            return []
        messages = []
        try:
            if remote not in self.repos and may_hold_records(remote):
                self._copy_records(remote)
        except RemoteError as error:
            messages.append(f"planned only from the records on this machine: {error}")
            self.unreachable.add(remote)
        return messages + self._add_records(repo, remote)

    def read_again(self, remotes: Iterable[Remote]) -> None:
        """Read the runs folders' launch records again. No batch may be running."""
        for remote in dict.fromkeys(remotes):
            self._copy_records(remote)
        self._build_index()

    @property
    def newest_launch(self) -> str:
        """The id of the newest launch; empty if there is none."""
        return self.index.records[-1].launch.id if self.index.records else ""

    def find(self, prepared: Prepared) -> RecordedRun | None:
        """Return an experiment's run that was, or was to be, submitted.

        It is asked for several times in a row.
        """
        if self._last_found[0] is not prepared:
            self._last_found = prepared, self.recognizer.find(prepared)
        return self._last_found[1]

    def recipe_of(self, prepared: Prepared) -> int | None:
        """Return the recipe of an experiment's run; None if it has no run."""
        found = self.find(prepared)
        return None if found is None else found.run.recipe

    def about(self, prepared: Prepared, run: RecordedRun | None, resubmit: Resubmit) -> KnownRuns:
        """Return what the records say about an experiment, as far as a decision depends on it."""
        if run is not None and not resubmit.is_retry:
            return KnownRuns(run)
        earlier = self.recognizer.find_elsewhere(prepared)
        if not resubmit.is_retry:
            return KnownRuns(None, earlier)
        recipes = len(prepared.experiment.sweep.recipes)
        is_incomplete = run is not None and self.recognizer.is_incomplete(run)
        known = KnownRuns(run, earlier, recipes=recipes, is_incomplete=is_incomplete)
        return known.with_notes(self._folders.runs)

    def has_base(self, base: str) -> bool:
        """Return whether a repository of this command has a commit."""
        if base not in self._has:
            repositories = [self._workspaces.git(repo) for repo, _ in self._read]
            self._has[base] = any(each.has(base) for each in repositories)
        return self._has[base]

    def _copy_records(self, remote: Remote) -> None:
        """Copy the records that are missing here, and note how much the runs folder has."""
        self.sizes.update(sync(self._connect(remote), self._folders.launches, self._closed.append))

    def _add_records(self, repo: Repo, remote: Remote) -> list[str]:
        """Use a remote's records, and return why some of them are ignored."""
        self.repos[remote] = repo
        self._read.add((repo, remote))
        self._has.clear()
        self._build_index()
        closed, self._closed = self._closed, []
        return [*closed, *self.index.faults]

    def _build_index(self) -> None:
        launches = self._folders.launches
        self._own += additions_besides(launches, self._own)
        copies = [Copies(launches, each) for each in self.repos]
        self._use_index(RunIndex.of(self._own, copies, self.has_base))

    def _use_index(self, index: RunIndex) -> None:
        self._last_found = None, None
        self.index = index
        reachable = self.repos.keys() - self.unreachable
        commits = RemoteCommits(self._connect, reachable)
        self.recognizer = Recognizer(index, self._workspaces.git, self._sweeps.have, commits)
