"""The steps that take the runs of one launch from commit to released job.

Each step is announced in the launch record before it is done and noted after it, so that the same
command, run again after a crash anywhere, finds out what happened and goes on from there. The
stages of a run in the record:

    COMMITTED -> PUSHED -> PLACED -> SUBMITTING -> HELD -> RELEASED
                   |          ^          |
                   |          '----------+  Slurm accepts no more jobs for now
                   v                     +--> REJECTED  sbatch refused the job
                REFUSED                  '--> INDOUBT   sbatch may have accepted it: the same
            the run directory                           command, run again, looks for the job
            cannot be made                              and goes on at SUBMITTING

An interrupted run goes through all steps again: each finds what was done already, and leaves it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_remex import names
from pytest_remex.common.jobs import JobId
from pytest_remex.common.parts import Placement, RunJob, Source
from pytest_remex.common.protocol import (
    Held,
    InDoubt,
    NotReleased,
    Place,
    Placed,
    PlaceRefused,
    Rejected,
    Release,
    Submit,
    SubmitWarning,
    Tidy,
)
from pytest_remex.interaction import Progress, counted
from pytest_remex.launch.options import Grouping
from pytest_remex.launch.session import LaunchSession, Services, is_same_place, resume
from pytest_remex.launch.submissions import Submission, form_submissions
from pytest_remex.model import Config, Remote, Repo
from pytest_remex.records.schema import HAS_JOB, Committed, Pushing, RunRecord, Stage, Tidied
from pytest_remex.records.store import LaunchRecord
from pytest_remex.repo.trees import blobs_at

DEFAULT_ARRAY_SIZE = 1000
"""Tasks in an array at most where the cluster does not say; Slurm's default is 1,001."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs of one launch that are sent together.

    `tip` is the commit whose parents are all commits of the launch so far.
    """

    session: LaunchSession
    shas: Sequence[str]
    tip: str


def commit(session: LaunchSession, runs: Sequence[RunRecord]) -> Batch:
    """Note runs in the launch record, and keep their commits in the user's repository."""
    new = [run for run in runs if run.commit.sha not in session.runs]
    session.journal.write(Committed(run) for run in new)
    session.add(new)
    shas = [run.commit.sha for run in runs]
    launch = session.launch
    tip = session.workspace.committer.gather(names.keep_ref(launch.id), shas, launch.token)
    return Batch(session, shas, tip)


def send(batch: Batch, progress: Progress) -> list[RunRecord]:
    """Submit a batch that was committed.

    Nothing is submitted twice: the same call, made again after it failed anywhere, goes on. It
    may run in a thread of its own while more is patched, but not while more of this launch is
    committed.

    Returns:
        The runs as they are recorded now, in the batch's order.

    Raises:
        RemexError: Where the batch could not be handled. Where that is a `ConnectionLostError`,
            some of its jobs may have been submitted.
    """
    session, shas = batch.session, batch.shas
    jobless = [sha for sha in shas if session.runs[sha].stage not in HAS_JOB]
    progress("pushing", 0, len(jobless))
    source = _publish(session, batch.tip, jobless)
    _place(session, source, jobless, progress)
    _submit_held(session, shas, progress)
    _release(session, shas)
    return [session.runs[sha] for sha in shas]


def finish(session: LaunchSession) -> None:
    """Remove what a launch left in other places. Raises `RemexError` where that fails."""
    session.publisher.withdraw()
    launch = session.launch
    request = Tidy(_clone(session), launch.remote.runs, launch.id, launch.token)
    for _ in session.connection.ask(request):
        pass
    session.journal.write([Tidied()])


def _publish(session: LaunchSession, tip: str, shas: Sequence[str]) -> Source:
    session.journal.write([Pushing(tip)])
    session.journal.sync()
    source = session.publisher.publish(tip)
    session.reach(shas, Stage.PUSHED)
    return source


def _place(session: LaunchSession, source: Source, shas: Sequence[str], progress: Progress) -> None:
    launch, remote = session.launch, session.launch.remote
    placed: list[str] = []
    request = Place(
        clone=_clone(session),
        runs=remote.runs,
        launch=launch.id,
        token=launch.token,
        base=launch.base,
        source=source,
        shared=list(session.shared),
        placements=[_placement(session, session.runs[sha]) for sha in shas],
        left_out=list(session.left_out),
    )
    for event in session.connection.ask(request):
        if isinstance(event, Placed):
            placed.append(session.commits[event.directory])
            progress("placing", len(placed), len(shas))
        elif isinstance(event, PlaceRefused):
            session.reach([session.commits[event.directory]], Stage.REFUSED, why=event.message)
    session.reach(placed, Stage.PLACED)


def _placement(session: LaunchSession, run: RunRecord) -> Placement:
    config: Config = {**session.launch.base_config, **run.point}
    meta: dict[str, object] = {"node": run.node, "id": run.id, "point": run.point, "config": config}
    if run.identity:
        meta |= {"fingerprint": run.identity.fingerprint, "replicate": run.identity.replicate}
    return Placement(
        directory=run.directory,
        sha=run.commit.sha,
        parent=run.commit.base,
        tree=run.commit.tree,
        meta=meta,
    )


def _submit_held(session: LaunchSession, shas: Sequence[str], progress: Progress) -> None:
    ready = [session.runs[sha] for sha in shas if session.runs[sha].stage is Stage.PLACED]
    submissions = _submissions(session, ready)
    for submission in submissions:
        session.reach(submission.shas, Stage.SUBMITTING, submission=submission.key)
    session.journal.sync()
    by_key = {submission.key: submission for submission in submissions}
    places = [(run.commit.sha, run.header.script) for each in submissions for run in each.runs]
    scripts = dict(
        zip((sha for sha, _ in places), blobs_at(session.workspace.git, places), strict=True)
    )
    answered: set[str] = set()
    request = Submit(
        runs=session.launch.remote.runs,
        launch=session.launch.id,
        token=session.launch.token,
        scheduler=session.connection.scheduler,
        submissions=[
            each.request(
                session.grouping, scripts, in_doubt=not session.in_doubt.isdisjoint(each.shas)
            )
            for each in submissions
        ],
    )
    for event in session.connection.ask(request):
        if isinstance(event, SubmitWarning):
            session.warnings.append(event.message)
        elif isinstance(event, Held | Rejected | InDoubt):
            submission = by_key[event.key]
            _note_answer(session, submission, event)
            # an answer comes a second time where Slurm disproves what sbatch said
            answered.update(submission.shas)
            progress("submitting", len(answered), len(ready))


def _note_answer(
    session: LaunchSession, submission: Submission, event: Held | Rejected | InDoubt
) -> None:
    match event:
        case Held():
            for directory, job in event.jobs.items():
                session.reach([session.commits[directory]], Stage.HELD, job=job)
        case Rejected(limit=True):
            why = f"{event.message}\nrun the same command again for the rest"
            session.reach(submission.shas, Stage.PLACED, why=why)
        case Rejected():
            session.reach(submission.shas, Stage.REJECTED, why=event.message)
        case InDoubt():
            session.reach(submission.shas, Stage.INDOUBT, why=event.message)


def _submissions(session: LaunchSession, ready: Sequence[RunRecord]) -> list[Submission]:
    members: dict[str, list[RunRecord]] = {}
    for run in session.runs.values():
        members.setdefault(run.submission, []).append(run)
    longest = session.connection.host().max_array_size or DEFAULT_ARRAY_SIZE
    return form_submissions(ready, members, session.grouping, longest)


def _release(session: LaunchSession, shas: Sequence[str]) -> None:
    keys = {session.runs[sha].submission for sha in shas}
    held = [
        run for run in session.runs.values() if run.stage is Stage.HELD and run.submission in keys
    ]
    asked = [RunJob(run.directory, run.job) for run in held if not run.header.held]
    session.journal.sync()
    refused: dict[str, tuple[Stage, str]] = {}
    request = Release(session.launch.remote.runs, session.connection.scheduler, asked)
    for event in session.connection.ask(request):
        if isinstance(event, NotReleased):
            stage = Stage.RELEASED if event.lost else Stage.HELD
            refused[_whole_job(event.job)] = stage, event.message
    for run in held:
        if refusal := refused.get(_whole_job(run.job)):
            session.reach([run.commit.sha], refusal[0], why=refusal[1])
    released = [run.commit.sha for run in held if _whole_job(run.job) not in refused]
    session.reach(released, Stage.RELEASED)
    session.journal.sync()


def _whole_job(job: str) -> str:
    """Return the id of the job that a task is part of: releasing it releases all its tasks."""
    return str(JobId.parse(job)._replace(task=""))


def _clone(session: LaunchSession) -> str:
    remote = session.launch.remote
    return remote.clone if remote.host is not None else str(session.workspace.git.top)


def clean_up_after_crashes(
    records: Iterable[LaunchRecord],
    open_launches: Collection[str],
    repos: Mapping[Remote, Repo],
    services: Services,
) -> list[str]:
    """Remove the temporary branches and staged files of interrupted launches.

    Args:
        records: All launch records.
        open_launches: The launches of this command, which are left alone.
        repos: The remotes that this command knows, each with its repository; the launches of
            others are left alone.
        services: How repositories and remotes are reached.

    Returns:
        A warning for each launch that has runs left to submit.

    Raises:
        RemexError: Where something could not be removed.
    """
    warnings = []
    for record in records:
        if record.launch.id in open_launches:
            continue
        left = sum(not run.stage.settled for run in record.runs.values())
        if left:
            warnings.append(
                f"launch {record.launch.id} was interrupted with "
                f"{counted(left, 'run')} not submitted: submit the same sweep again to "
                f"finish it, or give it up with "
                f"--remex-cancel --remex-launch={record.launch.id}"
            )
        if record.tips and not record.tidied:
            _clean_up(record, repos, services)
    return warnings


def _clean_up(record: LaunchRecord, repos: Mapping[Remote, Repo], services: Services) -> None:
    for remote, repo in repos.items():
        if is_same_place(remote, record.launch.remote):
            session = resume(record, repo, remote, services, Grouping())
            finish(session)
            session.journal.close()
            return
