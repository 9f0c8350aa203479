"""Decide which launch an experiment belongs to, and keep the launches of a command open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial

from pytest_remex import names
from pytest_remex.collect.query import release_again
from pytest_remex.collect.sync import RemoteCommits, sync
from pytest_remex.common.claims import TakenBy
from pytest_remex.display import Progress
from pytest_remex.errors import RemexError
from pytest_remex.launch import pipeline
from pytest_remex.launch.claims import run_of_claim, wanted_claim
from pytest_remex.launch.options import Folders, Grouping
from pytest_remex.launch.pipeline import clean_up_after_crashes
from pytest_remex.launch.recognition import EarlierRun, Recognizer, named_today
from pytest_remex.launch.session import (
    LaunchSession,
    Services,
    SubmitRequest,
    begin,
    launch_key,
    lock_launches,
    resume,
)
from pytest_remex.model import Remote, Repo
from pytest_remex.records.copies import Copies, additions_besides
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.launch import whoami
from pytest_remex.records.schema import (
    MAY_HAVE_JOB,
    Committed,
    Event,
    RunRecord,
    Shared,
    Stage,
    StageReached,
)
from pytest_remex.records.store import (
    Journal,
    LaunchRecord,
    changed,
    read_records,
)
from pytest_remex.repo.workspace import Prepared
from pytest_remex.sweep_file import SweepFiles
from pytest_remex.variant import Variant


class Launcher:
    """The launches of one command.

    Args:
        folders: The folder of the launch records, from which one command at a time can submit.
        services: Access to repositories and remotes.
        grouping: How new runs are grouped.
        note: The reason, for the records of new launches.

    Raises:
        RecordError: Another command is submitting from the same folder, or the folder cannot be
            written.
    """

    def __init__(
        self, folders: Folders, services: Services, grouping: Grouping, note: str = ""
    ) -> None:
        self._folder = folder = folders.launches
        self._sweeps = SweepFiles(folders.top)
        self._services = services
        self._grouping = grouping
        self._note = note
        self._sessions: dict[object, LaunchSession] = {}
        self._repos: dict[Remote, Repo] = {}
        self._found: list[RecordedRun] = []
        self._recognized: tuple[Prepared | None, RecordedRun | None] = (None, None)
        self._lock = lock_launches(folder)
        self._own = read_records(folder)
        self._read: set[tuple[Repo, Remote]] = set()
        self._has: dict[str, bool] = {}
        self._index = RunIndex(self._own)
        self.recognizer = self._recognizer_of(self._index)

    @property
    def launches(self) -> list[str]:
        """The launches that this command has opened."""
        return [session.launch.id for session in self._sessions.values()]

    @property
    def notes(self) -> list[str]:
        """The notes of these launches; a resumed launch keeps its own."""
        return [session.launch.note for session in self._sessions.values()]

    def read_records(self, repo: Repo, remote: Remote) -> list[str]:
        """Read, once, the launch records in a remote's runs folder.

        Returns:
            Messages on why some of them are ignored.

        Raises:
            RemexError: The remote cannot be queried, or one of its records cannot be used.

        """
        if (repo, remote) in self._read:
            return []
        if remote not in self._repos:
            self._read_runs_folder(remote)
        self._repos[remote] = repo
        self._read.add((repo, remote))
        self._has.clear()
        self._learn()
        return self._index.faults

    def newest(self, prepared: Prepared, remote: Remote) -> RecordedRun | None:
        """Return the newest run of an experiment, even if it was refused or rejected."""
        return self.recognizer.newest(prepared, local=remote.host is None)

    def sent_run(self, request: SubmitRequest) -> RecordedRun | None:
        """Return the run of a request, if a launch of this command has it."""
        session = self._sessions.get(launch_key(request))
        return session.recorded(request.sha) if session else None

    def share(self, request: SubmitRequest, variant: Variant) -> None:
        """Record that another variant of the grid has a request's run, which was just sent."""
        session = self._sessions.get(launch_key(request))
        if session is not None and session.launch.variant != variant:
            session.journal.write([Shared(request.sha, variant)])

    def taken(self, request: SubmitRequest) -> TakenBy | None:
        """Return the earlier claim of another client on a request's experiment, if any."""
        session = self._sessions.get(launch_key(request))
        return session.taken.get(request.sha) if session else None

    def read_again(self, remotes: Iterable[Remote]) -> None:
        """Read the runs folders' launch records again. No batch may be running."""
        for remote in dict.fromkeys(remotes):
            self._read_runs_folder(remote)
        self._learn()

    def claimed_run(self, request: SubmitRequest, taken: TakenBy) -> RecordedRun | None:
        """Return the run of another client's claim; None if this client cannot continue it.

        Raises:
            RecordError: The claim has a name that pytest-remex would never write.

        """
        claim = taken.claim
        record = self._index.of_launch(claim.launch, claim.token)
        if record is not None and claim.sha in record.runs and not record.owner:
            return RecordedRun(record, record.runs[claim.sha])
        opened = {session.launch.token for session in self._sessions.values()}
        if record is not None or claim.token in opened or not self._has_base(claim.base):
            return None
        return run_of_claim(taken, request, _new_run(request.prepared, ""), self._folder)

    def _read_runs_folder(self, remote: Remote) -> None:
        self._services.copied.update(sync(self._services.connect(remote), self._folder))
        self._own += additions_besides(self._folder, self._own)

    def _learn(self) -> None:
        self._recognized = None, None
        copies = [Copies(self._folder, each) for each in self._repos]
        self._index = RunIndex.of(self._own, copies, self._has_base)
        self.recognizer = self._recognizer_of(self._index)

    def _recognizer_of(self, index: RunIndex) -> Recognizer:
        remote_commits = RemoteCommits(self._services.connect, self._repos)
        return Recognizer(index, self._sweeps.have, remote_commits)

    def find_elsewhere(self, prepared: Prepared, repo: Repo, remote: Remote) -> EarlierRun | None:
        """Return the run of an experiment's point on an older base with different inputs."""
        git, local = self._services.workspaces.git(repo), remote.host is None
        return self.recognizer.find_elsewhere(prepared, git, local=local)

    def is_recorded(self, prepared: Prepared, repo: Repo, remote: Remote) -> bool:
        """Return whether an experiment already has a run that was, or was to be, submitted."""
        return self._recognize(prepared, repo, remote) is not None

    def recipe_of(self, prepared: Prepared, repo: Repo, remote: Remote) -> int | None:
        """Return the recipe of an experiment's run; None if it has no run."""
        recorded = self._recognize(prepared, repo, remote)
        return None if recorded is None else recorded.run.recipe

    def find(self, prepared: Prepared, repo: Repo, remote: Remote) -> RecordedRun | None:
        """Return an experiment's existing run, and record how the experiment is called today.

        Raises `RecordError` if its launch record cannot be written.
        """
        recorded = self._recognize(prepared, repo, remote)
        if recorded is None:
            return None
        self._found.append(recorded)
        run, events = named_today(recorded, prepared)
        if events:
            with self._journal(recorded.record) as journal:
                journal.write(events)
        return RecordedRun(recorded.record, run)

    def _recognize(self, prepared: Prepared, repo: Repo, remote: Remote) -> RecordedRun | None:
        """Return an experiment's existing run; it is asked for several times in a row."""
        if self._recognized[0] is not prepared:
            git, local = self._services.workspaces.git(repo), remote.host is None
            self._recognized = prepared, self.recognizer.find(prepared, git, local=local)
        return self._recognized[1]

    def prepare_continuation(
        self, recorded: RecordedRun, command: str, prepared: Prepared
    ) -> RecordedRun:
        """Record that a run gets another job in its run directory, which runs `command`.

        The options for sbatch are those of `prepared`: it may need more time.

        Returns:
            The updated run, to be submitted like an interrupted one.
        """
        sha = recorded.run.commit.sha
        event = StageReached(
            sha,
            Stage.PLACED,
            job=recorded.run.job,
            job_number=recorded.run.job_number + 1,
            command=command,
            submission="",
        )
        updated = replace(recorded.run, header=prepared.header, sbatch=prepared.sbatch)
        events: list[Event] = [event] if updated == recorded.run else [Committed(updated), event]
        with self._journal(recorded.record) as journal:
            journal.write(events)
        run = changed(updated, event)
        record = replace(recorded.record, runs={**recorded.record.runs, sha: run})
        return RecordedRun(record, run)

    def commit(self, requests: Sequence[SubmitRequest]) -> Callable[[Progress], list[RunRecord]]:
        """Record a batch in its launches.

        Returns:
            A function that submits the batch, and returns one run per request. It can run in
            another thread while more is prepared; it raises errors that concern the whole batch.
        """
        groups = _by_launch(requests)
        batches = [self._committed([requests[i] for i in group]) for group in groups]
        return partial(_send, groups, batches)

    def launch_of(self, request: SubmitRequest) -> str:
        """Return the id of the launch that a request was committed to."""
        return self._sessions[launch_key(request)].launch.id

    def may_have_job(self, request: SubmitRequest) -> bool:
        """Return whether a request may have a job although its batch failed."""
        session = self._sessions.get(launch_key(request))
        run = session.runs.get(request.sha) if session else None
        return run is not None and run.stage in MAY_HAVE_JOB

    def close(self, *, ask: bool = True) -> list[str]:
        """Finish all launches; return the cluster's warnings, and what could not be cleaned up.

        `ask` says whether remotes can be queried about earlier submissions.
        """
        warnings: list[str] = []
        for session in self._sessions.values():
            warnings += dict.fromkeys(session.warnings)
            with (
                _errors_as(warnings),
                closing(session.journal),
                _errors_as(warnings),
            ):
                pipeline.finish(session)
        with _errors_as(warnings):
            warnings += clean_up_after_crashes(
                self._index, self.launches, self._repos, self._services
            )
        if ask:
            warnings += release_again(self._left_alone(), self._services.connect)
        self._sessions.clear()
        self._lock.release()
        return warnings

    def _left_alone(self) -> Iterator[RecordedRun]:
        """Yield the existing runs that got no new job; the others are outdated."""
        for found in self._found:
            session = self._sessions.get(found.launch.id)
            now = session.runs[found.run.commit.sha] if session else found.run
            if now.job_number == found.run.job_number:
                yield found

    def _has_base(self, base: str) -> bool:
        """Return whether a repository of this command has a commit."""
        if base not in self._has:
            repositories = [self._services.workspaces.git(repo) for repo, _ in self._read]
            self._has[base] = any(each.has(base) for each in repositories)
        return self._has[base]

    @contextmanager
    def _journal(self, record: LaunchRecord) -> Iterator[Journal]:
        """Open a launch's record, unless it is open already for the thread that submits."""
        if session := self._sessions.get(record.launch.id):
            yield session.journal
            return
        with closing(Journal.resume(record)) as journal:
            yield journal

    def _committed(self, requests: Sequence[SubmitRequest]) -> pipeline.Batch:
        session = self._session(requests[0])
        runs = [_run_of(session, request) for request in requests]
        session.dependencies |= {each.sha: each.dependency for each in requests if each.dependency}
        pairs, by = zip(requests, runs, strict=True), whoami()
        wanted = [wanted_claim(session, request, run, by) for request, run in pairs]
        made = {request.prepared.commit.sha for request in requests}
        return pipeline.commit(session, runs, wanted, made)

    def _session(self, request: SubmitRequest) -> LaunchSession:
        key = launch_key(request)
        if key not in self._sessions:
            self._sessions[key] = self._opened(request)
        return self._sessions[key]

    def _opened(self, request: SubmitRequest) -> LaunchSession:
        if request.resumed is None:
            return begin(self._folder, request, self._services, self._grouping, self._note)
        record = request.resumed.record
        session = resume(record, request.repo, request.remote, self._services, self._grouping)
        session.fill_from(request.prepared.inputs)
        return session


def _by_launch(requests: Sequence[SubmitRequest]) -> list[list[int]]:
    """Return the positions of the requests of each launch."""
    groups: dict[object, list[int]] = {}
    for position, request in enumerate(requests):
        groups.setdefault(launch_key(request), []).append(position)
    return list(groups.values())


def _run_of(session: LaunchSession, request: SubmitRequest) -> RunRecord:
    upstream = request.dependency.run if request.dependency else None
    if request.resumed:
        run = request.resumed.run
        if run.job_number > session.runs[run.commit.sha].job_number:
            session.add([run])
        if upstream and run.upstream != upstream and run.stage not in MAY_HAVE_JOB:
            run = replace(run, upstream=upstream)
            session.introduce_again(run)
        return run
    launch, sha = session.launch, request.prepared.commit.sha
    run = _new_run(request.prepared, names.run_directory(launch.branch, launch.id, sha))
    return replace(run, upstream=upstream)


def _new_run(prepared: Prepared, directory: str) -> RunRecord:
    return RunRecord(
        node=prepared.node,
        id=prepared.experiment.id,
        point=prepared.experiment.point,
        parameters=prepared.parameters,
        commit=prepared.commit,
        directory=directory,
        header=prepared.header,
        identity=prepared.identity,
        sbatch=prepared.sbatch,
        recipe=prepared.recipe,
        added=prepared.experiment.sweep.is_added(prepared.experiment.point),
    )


def _send(
    groups: Sequence[Sequence[int]], batches: Sequence[pipeline.Batch], progress: Progress
) -> list[RunRecord]:
    runs: dict[int, RunRecord] = {}
    for group, batch in zip(groups, batches, strict=True):
        runs |= zip(group, pipeline.send(batch, progress), strict=True)
    return [runs[position] for position in sorted(runs)]


@contextmanager
def _errors_as(warnings: list[str]) -> Iterator[None]:
    try:
        yield
    except RemexError as error:
        warnings.append(str(error))
