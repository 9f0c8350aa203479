"""An open launch: its record, repository and connection; how it is begun and resumed."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from pytest_remex import names
from pytest_remex.common.claims import TakenBy
from pytest_remex.common.records import AppendRecord, LaunchOpened, OpenLaunch, RecordPart
from pytest_remex.display import one_line
from pytest_remex.errors import RecordError
from pytest_remex.io import writing
from pytest_remex.launch.candidate import Candidate
from pytest_remex.launch.dependency import Dependency
from pytest_remex.launch.options import Grouping, LaunchOptions
from pytest_remex.launch.push import Here, Publisher, publisher_for, withdraw_from_origin
from pytest_remex.model import Remote, Repo
from pytest_remex.records.copies import packed
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.journal import Journal
from pytest_remex.records.launch import Launch, whoami
from pytest_remex.records.schema import RunRecord, Stage, StageReached, introduction
from pytest_remex.records.store import ADDED, LaunchRecord, changed
from pytest_remex.repo.inputs import Inputs
from pytest_remex.repo.workspace import Workspace, Workspaces

if TYPE_CHECKING:
    from pytest_remex.transport.connection import Connect, Connection

SECOND = timedelta(seconds=1)
"""A launch's name contains the time in seconds."""


@dataclass(frozen=True, slots=True)
class Services:
    """A launch's access to repositories and remotes."""

    workspaces: Workspaces
    connect: Connect
    copied: dict[str, int] = field(default_factory=dict)
    """How many bytes of each launch record the runs folders have."""
    rate: float | None = None
    """The most sbatch per second; None for no limit."""


@dataclass(slots=True)
class LaunchSession:
    """An open launch, with everything that its steps need."""

    launch: Launch
    journal: Journal
    workspace: Workspace
    connection: Connection
    publisher: Publisher
    services: Services
    grouping: Grouping = field(default_factory=Grouping)
    runs: dict[str, RunRecord] = field(default_factory=dict)
    """All runs of the launch so far, by commit."""
    commits: dict[str, str] = field(default_factory=dict)
    """The commit of each run directory."""
    submissions: dict[str, dict[str, None]] = field(default_factory=dict)
    """The commits that are or were in each submission, by its key."""
    in_doubt: frozenset[str] = frozenset()
    """The commits whose submission by an earlier command was interrupted."""
    left_out: tuple[str, ...] = ()
    """The base's files and folders that are not copied to run directories."""
    shared: tuple[str, ...] = ()
    """The paths that run directories link to."""
    warnings: list[str] = field(default_factory=list)
    """The cluster's warnings, to be shown once at the end."""
    copied: int = 0
    """How many bytes of the record were sent to the runs folder."""
    introduced: set[str] = field(default_factory=set)
    """The commits of the runs that the record, or this client's addition to it, introduces."""
    claims: dict[str, str] = field(default_factory=dict)
    """The names of the claims of runs, by commit."""
    taken: dict[str, TakenBy] = field(default_factory=dict)
    """Other clients' claims on the same experiments, by commit."""
    dependencies: dict[str, Dependency] = field(default_factory=dict)
    """The upstreams of runs, by commit."""
    is_at_limit: bool = False
    """Whether a limit kept jobs from being submitted, after a wait: it is not waited for again."""

    @property
    def clone(self) -> str:
        """The clone's path on the cluster; on this machine the repository's."""
        if self.launch.remote.host is None:
            return str(self.workspace.git.top)
        return self.connection.host().clone

    @property
    def known_launches(self) -> list[str]:
        """The launches that this client has read or sent; its decisions rest on them."""
        return sorted({name.partition(ADDED)[0] for name in self.services.copied})

    @property
    def is_own(self) -> bool:
        """Whether this output folder began the launch."""
        return self.journal.worker == self.launch.id

    @property
    def other_worker(self) -> str:
        """The name of this client in a launch that another one began; empty in its own."""
        return "" if self.is_own else self.journal.worker

    def add(self, runs: Iterable[RunRecord]) -> None:
        """Add runs in memory, without writing them to the record."""
        for run in runs:
            self.runs[run.commit.sha] = run
            self.commits[run.directory] = run.commit.sha
            if run.submission:
                self._note_submission(run.submission, [run.commit.sha])

    def fill_from(self, inputs: Inputs) -> None:
        """Set what run directories contain: declared inputs, or all files if none are declared."""
        self.shared = tuple(self.launch.remote.shared)
        if inputs.are_declared:
            tree = self.workspace.input_tree(inputs)
            self.left_out = tree.left_out
            self.shared = tuple(path for path in self.shared if tree.holds(path))

    def introduce(self, shas: Iterable[str]) -> None:
        """Write the current stage of runs that the record does not have yet."""
        new = [sha for sha in shas if sha not in self.introduced]
        self.journal.write(event for sha in new for event in introduction(self.runs[sha]))
        self.introduced.update(new)

    def recorded(self, sha: str) -> RecordedRun:
        """Return the run of a commit as it is recorded now."""
        record = LaunchRecord(self.launch, self.runs, self.journal.path)
        return RecordedRun(record, self.runs[sha])

    def introduce_again(self, run: RunRecord) -> None:
        """Write of a run that it is made otherwise than was written before."""
        self.add([run])
        self.introduced.add(run.commit.sha)
        self.journal.write(introduction(run))

    def note_unsent(self, shas: Iterable[str], why: str) -> None:
        """Write why runs could not be pushed or placed."""
        for run in [self.runs[sha] for sha in shas]:
            if run.stage is Stage.COMMITTED:
                self.introduce_again(run._replace(why=why))
            elif run.stage is Stage.PUSHED:
                self.reach([run.commit.sha], Stage.PUSHED, why=why)

    def next_part(self) -> RecordPart:
        """Return what was written to the record since it was last sent to the runs folder."""
        part = packed(self.journal.name, self.copied, data := self.journal.written(self.copied))
        self.copied += len(data)
        return part

    def send_record(self) -> None:
        """Send what was written to the record since it was last sent to the runs folder."""
        self.connection.tell(AppendRecord(self.launch.remote.runs, self.next_part()))

    def members(self, keys: Collection[str]) -> list[RunRecord]:
        """Return the runs in some submissions; all runs of a launch are too many for each batch."""
        shas = dict.fromkeys(sha for key in keys for sha in self.submissions.get(key, ()))
        return [self.runs[sha] for sha in shas if self.runs[sha].submission in keys]

    def _note_submission(self, key: str, shas: Iterable[str]) -> None:
        self.submissions.setdefault(key, {}).update(dict.fromkeys(shas))

    def reach(self, shas: Iterable[str], stage: Stage, **facts: str | bool) -> None:
        """Write that runs have reached a stage; `facts` are fields of `StageReached`."""
        self._reach([StageReached(sha, stage, **facts) for sha in shas])  # type: ignore[arg-type]

    def begin_submitting(self, submissions: Mapping[str, Sequence[str]]) -> None:
        """Write that runs are being submitted: the commits of each submission, by its key."""
        self._reach(
            StageReached(sha, Stage.SUBMITTING, submission=key)
            for key, shas in submissions.items()
            for sha in shas
        )
        for key, shas in submissions.items():
            self._note_submission(key, shas)

    def _reach(self, stages: Iterable[StageReached]) -> None:
        """Write what runs have reached, at once: a write may wait for the thread that patches."""
        events = list(stages)
        self.introduce(event.commit for event in events)
        self.journal.write(events)
        for event in events:
            self.runs[event.commit] = changed(self.runs[event.commit], event)


def begin(
    folder: Path,
    candidate: Candidate,
    services: Services,
    options: LaunchOptions,
    after: str,
) -> LaunchSession:
    """Begin a launch and its record in `folder`; `doctor` has checked before that it is possible.

    `after` is the newest launch that is known. Raises `RemexError` if the remote cannot be reached
    or the record cannot be written.
    """
    sweep, base = candidate.prepared.experiment.sweep, candidate.prepared.commit.base
    workspace = services.workspaces.at(candidate.repo, base)
    connection = services.connect(candidate.remote)
    when = _time_after(after)
    while True:
        name = names.launch_id(sweep.name, when)
        when += SECOND  # for the next name, if this one is taken
        launch = launch_of(candidate, name, secrets.token_hex(8))
        launch = launch._replace(branch=workspace.branch, note=one_line(options.note))
        # all other names of this launch are shorter than this one
        names.run_directory(launch.branch, launch.id, candidate.prepared.commit.sha)
        try:
            journal = Journal.begin(folder, launch)
        except FileExistsError:
            continue
        with ExitStack() as unless_opened:
            unless_opened.callback(journal.discard)
            publisher = publisher_for(launch, launch.id, workspace.git, connection)
            session = LaunchSession(
                launch, journal, workspace, connection, publisher, services, options.grouping
            )
            if _is_opened(session):
                session.fill_from(candidate.prepared.inputs)
                unless_opened.pop_all()
                return session


def _time_after(launch: str) -> datetime:
    """Return the time to name a launch by, later than that of another one.

    Names tell which run is the newest, and local time goes back: with daylight saving, with a
    corrected clock, and from one time zone to another.
    """
    now = datetime.now().astimezone().replace(tzinfo=None)
    try:
        return max(now, names.launch_time(launch) + SECOND)
    except (ValueError, OverflowError):
        return now


def launch_of(candidate: Candidate, name: str, token: str) -> Launch:
    """Return the launch of this id that an experiment belongs to."""
    sweep, variant = candidate.prepared.experiment.sweep, candidate.prepared.variant
    return Launch(
        id=name,
        token=token,
        name=sweep.name,
        branch=variant.base or sweep.branch,
        base=candidate.prepared.commit.base,
        base_config=sweep.base_config,
        fetch=sweep.fetch,
        config_files=sweep.config_files,
        remote=candidate.remote,
        by=whoami(),
        variant=variant,
    )


def _is_opened(session: LaunchSession) -> bool:
    """Claim the launch's name in the runs folder; return False if another client has it."""
    journal = session.journal
    head = journal.written(0)
    remote = session.launch.remote
    request = OpenLaunch(remote.runs, journal.name, head.decode(), remote.host is None)
    session.copied = len(head)
    return any(isinstance(each, LaunchOpened) for each in session.connection.ask(request))


def resume(
    record: LaunchRecord, repo: Repo, remote: Remote, services: Services, grouping: Grouping
) -> LaunchSession:
    """Resume a launch; if `remote` is the same place, it is reached through it.

    Raises `RemexError` if the remote cannot be reached, the temporary branch is not this launch's,
    or the record cannot be written.
    """
    recorded = record.launch
    workspace = services.workspaces.at(repo, recorded.base)
    same = recorded.remote.is_same_place(remote)
    launch = recorded._replace(remote=remote) if same else recorded
    connection = services.connect(launch.remote)
    journal = Journal.resume(record)
    with ExitStack() as unless_resumed:
        unless_resumed.callback(journal.close)
        publisher = publisher_for(launch, journal.worker, workspace.git, connection, record.tips)
        session = LaunchSession(
            launch, journal, workspace, connection, publisher, services, grouping
        )
        unless_resumed.pop_all()
    if launch.remote.via != recorded.remote.via:
        session.warnings += withdraw_from_origin(workspace.git, journal.worker, record.tips)
    return _filled(session, record)


def reopen(record: LaunchRecord, repo: Repo, services: Services) -> LaunchSession:
    """Resume a launch that publishes nothing more. Raises `RemexError` as `resume` does."""
    workspace = services.workspaces.at(repo, record.launch.base)
    connection = services.connect(record.launch.remote)
    journal = Journal.resume(record)
    session = LaunchSession(record.launch, journal, workspace, connection, Here(), services)
    return _filled(session, record)


def _filled(session: LaunchSession, record: LaunchRecord) -> LaunchSession:
    """Fill a session from its record."""
    session.introduced = set(record.runs) if session.is_own else set()
    session.copied = session.services.copied.get(session.journal.name, 0)
    session.add(record.runs.values())
    session.in_doubt = frozenset(
        sha for sha, run in record.runs.items() if run.stage in {Stage.SUBMITTING, Stage.INDOUBT}
    )
    return session


def lock_launches(folder: Path) -> FileLock:
    """Keep other commands from submitting from a folder of launch records, and return the lock.

    Raises:
        RecordError: Another command is submitting, or the folder cannot be written.

    """
    lock = FileLock(folder / ".lock")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RecordError(
                f"another pytest is submitting from {folder}: wait until it has finished"
            ) from None
    return lock


def launch_key(candidate: Candidate) -> object:
    """Return what is equal for experiments of one launch."""
    if candidate.resumed:
        return candidate.resumed.record.launch.id
    prepared = candidate.prepared
    sweep, patterns = prepared.experiment.sweep.name, prepared.identity.patterns
    base, variant = prepared.commit.base, prepared.variant
    return sweep, patterns, candidate.repo, base, candidate.remote, variant
