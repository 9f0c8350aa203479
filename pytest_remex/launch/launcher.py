"""Decide which launch an experiment belongs to, and keep the launches of a command open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from pytest_remex import names
from pytest_remex.collect.query import release_again
from pytest_remex.common.claims import TakenBy
from pytest_remex.common.grouping import grouped
from pytest_remex.display import Progress
from pytest_remex.errors import RemexError
from pytest_remex.launch import pipeline
from pytest_remex.launch.candidate import Candidate, State
from pytest_remex.launch.claims import run_of_claim, wanted_claim
from pytest_remex.launch.discard import clean_up_after_crashes
from pytest_remex.launch.known import KnownLaunches
from pytest_remex.launch.options import Folders, LaunchOptions
from pytest_remex.launch.session import (
    LaunchSession,
    Services,
    begin,
    launch_key,
    lock_launches,
    resume,
)
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.journal import Journal
from pytest_remex.records.launch import whoami
from pytest_remex.records.schema import (
    MAY_HAVE_JOB,
    Committed,
    Event,
    Renamed,
    RunRecord,
    Shared,
    Stage,
    StageReached,
)
from pytest_remex.records.store import LaunchRecord, changed
from pytest_remex.repo.workspace import Prepared, Workspaces
from pytest_remex.variant import Variant

if TYPE_CHECKING:
    from pytest_remex.transport.connection import Connect


class Launcher:
    """The launches of one command.

    Args:
        folders: The folder of the launch records, from which one command at a time can submit.
        workspaces: The workspaces of the experiments.
        connect: Returns the connection to a remote.
        options: The user's choices.

    Raises:
        RecordError: Another command is submitting from the same folder, or the folder cannot be
            written.
    """

    def __init__(
        self, folders: Folders, workspaces: Workspaces, connect: Connect, options: LaunchOptions
    ) -> None:
        self._folder = folders.launches
        self._options = options
        self._sessions: dict[object, LaunchSession] = {}
        self._found: list[RecordedRun] = []
        self._lock = lock_launches(self._folder)
        self.known = KnownLaunches(folders, workspaces, connect)
        self._services = Services(workspaces, connect, self.known.sizes, options.rate)

    @property
    def launches(self) -> list[str]:
        """The launches that this command has opened."""
        return [session.launch.id for session in self._sessions.values()]

    @property
    def notes(self) -> list[str]:
        """The notes of these launches; a resumed launch keeps its own."""
        return [session.launch.note for session in self._sessions.values()]

    def run_of(self, candidate: Candidate) -> RecordedRun | None:
        """Return the submitted run of an experiment, of any user; None if none is known."""
        outcome = candidate.outcome
        if outcome.state is State.SUBMITTED:
            session = self._sessions.get(launch_key(candidate))
            return session.recorded(candidate.sha) if session else None
        known = candidate.known.run
        if known is None or known.launch.id != outcome.launch:
            known = self.known.recognizer.newest(candidate.prepared)
        if known is None or known.launch.id != outcome.launch:
            return None
        return RecordedRun(known.record, known.run._replace(job=outcome.job))

    def share(self, candidate: Candidate, variant: Variant) -> None:
        """Record that another variant of the grid has an experiment's run, which was just sent."""
        session = self._sessions.get(launch_key(candidate))
        if session is not None and session.launch.variant != variant:
            session.journal.write([Shared(candidate.sha, variant)])

    def taken(self, candidate: Candidate) -> TakenBy | None:
        """Return the earlier claim of another client on an experiment, if any."""
        session = self._sessions.get(launch_key(candidate))
        return session.taken.get(candidate.sha) if session else None

    def claimed_run(self, candidate: Candidate, taken: TakenBy) -> RecordedRun | None:
        """Return the run of another client's claim; None if this client cannot continue it.

        Raises:
            RecordError: The claim has a name that pytest-remex would never write.

        """
        claim = taken.claim
        record = self.known.index.of_launch(claim.launch, claim.token)
        if record is not None and claim.sha in record.runs and not record.owner:
            return RecordedRun(record, record.runs[claim.sha])
        opened = {session.launch.token for session in self._sessions.values()}
        if record is not None or claim.token in opened or not self.known.has_base(claim.base):
            return None
        return run_of_claim(taken, candidate, _new_run(candidate.prepared, ""), self._folder)

    def find(self, prepared: Prepared) -> RecordedRun | None:
        """Return an experiment's existing run, and record how the experiment is called today.

        Raises `RecordError` if its launch record cannot be written.
        """
        recorded = self.known.find(prepared)
        if recorded is None:
            return None
        self._found.append(recorded)
        run, events = _named_today(recorded, prepared)
        if events:
            with self._journal(recorded.record) as journal:
                journal.write(events)
        return RecordedRun(recorded.record, run)

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
        updated = recorded.run._replace(header=prepared.header, sbatch=prepared.sbatch)
        events: list[Event] = [event] if updated == recorded.run else [Committed(updated), event]
        with self._journal(recorded.record) as journal:
            journal.write(events)
        run = changed(updated, event)
        record = recorded.record._replace(runs={**recorded.record.runs, sha: run})
        return RecordedRun(record, run)

    def commit(self, candidates: Sequence[Candidate]) -> Callable[[Progress], list[RunRecord]]:
        """Record a batch in its launches.

        Returns:
            A function that submits the batch, and returns one run for each. It can run in
            another thread while more is prepared; it raises errors that concern the whole batch.
        """
        groups = _by_launch(candidates)
        batches = [self._committed([candidates[i] for i in group]) for group in groups]
        return partial(_send, groups, batches)

    def launch_of(self, candidate: Candidate) -> str:
        """Return the id of the launch that an experiment was committed to."""
        return self._sessions[launch_key(candidate)].launch.id

    def may_have_job(self, candidate: Candidate) -> bool:
        """Return whether an experiment may have a job although its batch failed."""
        session = self._sessions.get(launch_key(candidate))
        run = session.runs.get(candidate.sha) if session else None
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
                self.known.index, self.launches, self.known.repos, self._services
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

    @contextmanager
    def _journal(self, record: LaunchRecord) -> Iterator[Journal]:
        """Open a launch's record, unless it is open already for the thread that submits."""
        if session := self._sessions.get(record.launch.id):
            yield session.journal
            return
        with closing(Journal.resume(record)) as journal:
            yield journal

    def _committed(self, candidates: Sequence[Candidate]) -> pipeline.LaunchBatch:
        session = self._session(candidates[0])
        runs = [_run_of(session, candidate) for candidate in candidates]
        after = {each.sha: each.dependency for each in candidates if each.dependency}
        session.dependencies |= after
        pairs, by = zip(candidates, runs, strict=True), whoami()
        wanted = [wanted_claim(session, candidate, run, by) for candidate, run in pairs]
        made = {candidate.prepared.commit.sha for candidate in candidates}
        return pipeline.commit(session, runs, wanted, made)

    def _session(self, candidate: Candidate) -> LaunchSession:
        key = launch_key(candidate)
        if key not in self._sessions:
            self._sessions[key] = self._opened(candidate)
        return self._sessions[key]

    def _opened(self, candidate: Candidate) -> LaunchSession:
        options, services = self._options, self._services
        if candidate.resumed is None:
            newest = self.known.newest_launch
            return begin(self._folder, candidate, services, options, newest)
        record = candidate.resumed.record
        session = resume(record, candidate.repo, candidate.remote, services, options.grouping)
        session.fill_from(candidate.prepared.inputs)
        return session


def _named_today(recorded: RecordedRun, prepared: Prepared) -> tuple[RunRecord, list[Event]]:
    """Return a run under an experiment's names, and what its record does not say of that yet.

    Args:
        recorded: The run.
        prepared: The experiment, which has this run: maybe of another sweep, or of another variant
            of the grid.

    """
    run, events = recorded.run, list[Event]()
    if not recorded.is_of(prepared.variant):
        events.append(Shared(run.commit.sha, prepared.variant))
    if not _is_named(run, prepared):
        names = _names(prepared, recorded)
        if not any(_is_named(alias, prepared) for alias in run.aliases):
            events.append(names)
        run = names.apply(run)
    return run, events


def _is_named(run: RunRecord | Renamed, prepared: Prepared) -> bool:
    return (run.node, dict(run.point)) == (prepared.node, dict(prepared.experiment.point))


def _names(prepared: Prepared, recorded: RecordedRun) -> Renamed:
    """Return the event that sets a run's names to the experiment's current ones."""
    sweep, launched = prepared.experiment.sweep.name, recorded.launch.name
    return Renamed(
        commit=recorded.run.commit.sha,
        node=prepared.node,
        id=prepared.experiment.id,
        point=prepared.experiment.point,
        parameters=prepared.parameters,
        sweep=sweep if sweep != launched else "",
    )


def _by_launch(candidates: Sequence[Candidate]) -> list[list[int]]:
    """Return the positions of the experiments of each launch."""
    keys = map(launch_key, candidates)
    return list(grouped((key, position) for position, key in enumerate(keys)).values())


def _run_of(session: LaunchSession, candidate: Candidate) -> RunRecord:
    upstream = candidate.dependency.run if candidate.dependency else None
    if candidate.resumed:
        run = candidate.resumed.run
        if run.job_number > session.runs[run.commit.sha].job_number:
            session.add([run])
        if upstream and run.upstream != upstream and run.stage not in MAY_HAVE_JOB:
            run = run._replace(upstream=upstream)
            session.introduce_again(run)
        return run
    launch, sha = session.launch, candidate.prepared.commit.sha
    run = _new_run(candidate.prepared, names.run_directory(launch.branch, launch.id, sha))
    return run._replace(upstream=upstream)


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
    groups: Sequence[Sequence[int]], batches: Sequence[pipeline.LaunchBatch], progress: Progress
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
