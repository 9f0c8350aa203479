"""The steps that take the runs of one launch from commit to released job.

Each step is written to the launch record before and after it, so that the same command, run again
after a crash at any point, finds out what happened and continues from there. The stages of a run in
the record:

    COMMITTED -> PUSHED -> PLACED -> SUBMITTING -> HELD -> RELEASED
                   |          ^          |
                   |          '----------+  Slurm accepts no more jobs for now
                   v                     +--> REJECTED  sbatch refused the job
                REFUSED                  '--> INDOUBT   sbatch may have accepted it: the same
            the run directory                           command, run again, looks for the job
            cannot be made                              and continues at SUBMITTING

An interrupted run goes through all steps again: each finds out what has been done already.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from pytest_remex import names
from pytest_remex.common.claims import Claimed, ClaimFault, ClaimRuns, TakenBy, WantedClaim
from pytest_remex.common.grouping import grouped
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
from pytest_remex.display import Progress
from pytest_remex.errors import RemexError
from pytest_remex.launch.options import GroupingKind
from pytest_remex.launch.session import LaunchSession
from pytest_remex.launch.submissions import Submission, form_submissions
from pytest_remex.records.index import own_config
from pytest_remex.records.schema import HAS_JOB, BranchRemoved, Pushing, RunRecord, Stage
from pytest_remex.repo.trees import blobs_at

DEFAULT_ARRAY_SIZE = 1000
"""The most tasks in an array if the cluster does not say; Slurm's default is 1,001."""
AGAIN = "run the same command again for the rest"
TOO_LONG = (
    ", or, if the limit is below the {} tasks of this array, --remex-cancel and then "
    "--remex-submit without --remex-array"
)


class LaunchBatch(NamedTuple):
    """Runs of one launch that are sent together.

    `wanted` are the claims of their jobs, by commit. `tip` is the commit whose parents are all
    commits of the launch so far. This client does not have the commits in `absent`: another client
    has made their run directories.
    """

    session: LaunchSession
    wanted: Mapping[str, WantedClaim]
    tip: str
    absent: frozenset[str] = frozenset()

    @property
    def shas(self) -> list[str]:
        """The commits of the runs."""
        return list(self.wanted)


def commit(
    session: LaunchSession,
    runs: Sequence[RunRecord],
    wanted: Sequence[WantedClaim],
    made: Collection[str],
) -> LaunchBatch:
    """Write runs into the launch record, and keep their commits in the user's repository.

    `made` are the commits that this command made.
    """
    session.add(run for run in runs if run.commit.sha not in session.runs)
    session.introduce(run.commit.sha for run in runs)
    launch, git = session.launch, session.workspace.git
    shas = [run.commit.sha for run in runs]
    absent = frozenset(sha for sha in shas if sha not in made and not git.has(sha))
    present = [sha for sha in shas if sha not in absent]
    ref = names.keep_ref(session.journal.worker)
    tip = session.workspace.committer.gather(ref, present, launch.token) if present else ""
    return LaunchBatch(session, dict(zip(shas, wanted, strict=True)), tip, absent)


def send(batch: LaunchBatch, progress: Progress) -> list[RunRecord]:
    """Submit a batch that was committed.

    Nothing is submitted twice: after a failure at any point, the same call continues. It can run in
    another thread while more is patched, but not while more of this launch is committed.

    Returns:
        The updated runs, in the batch's order.

    Raises:
        RemexError: The batch could not be submitted. With a `ConnectionLostError`, some of its jobs
            may have been submitted.
    """
    session, shas = batch.session, batch.shas
    jobless = [sha for sha in shas if session.runs[sha].stage not in HAS_JOB]
    progress("pushing", 0, len(jobless))
    if batch.tip:
        session.journal.write([Pushing(batch.tip)])
    session.journal.sync()
    # the agent claims while the commits are pushed
    claims = [batch.wanted[sha] for sha in jobless]
    known = session.known_launches
    request = ClaimRuns(session.launch.remote.runs, session.next_part(), claims, known)
    answers = session.connection.ask(request)
    try:
        source = _publish(session, batch, jobless, progress)
        progress("pushing", len(jobless), len(jobless))
        _note_claims(session, answers)
        ours = [sha for sha in jobless if sha in session.claims]
        if source is not None:
            _place(session, source, [sha for sha in ours if sha not in batch.absent], progress)
    except RemexError as error:
        session.note_unsent(jobless, str(error))
        raise
    session.reach([sha for sha in ours if sha in batch.absent], Stage.PLACED)
    _submit_held(session, shas, progress)
    _release(session, shas)
    return [session.runs[sha] for sha in shas]


def finish(session: LaunchSession) -> None:
    """Remove a launch's temporary branch and files. Raises `RemexError` if that fails."""
    launch, runs = session.launch, session.launch.remote.runs
    try:
        is_gone = session.publisher.withdraw()
    finally:  # origin may let no branch be deleted
        request = Tidy(session.clone, runs, launch.id, launch.token, session.other_worker)
        session.connection.tell(request)
    if is_gone:
        session.journal.write([BranchRemoved()])
    session.send_record()


def _publish(
    session: LaunchSession, batch: LaunchBatch, shas: Sequence[str], progress: Progress
) -> Source | None:
    """Make the batch's commits available to the clone, if there are any."""
    present = [sha for sha in shas if sha not in batch.absent]
    if not present:
        return None
    tell = partial(progress, "pushing", 0, len(shas))
    source = session.publisher.publish(batch.tip, tell)
    session.reach(present, Stage.PUSHED)
    return source


def _note_claims(session: LaunchSession, answers: Iterable[object]) -> None:
    for event in answers:
        match event:
            case Claimed(sha, name):
                session.claims[sha] = name
            case TakenBy(sha, claim):
                session.taken[sha] = event
                why = f"{claim.by} submits it in launch {claim.launch}"
                session.reach([sha], Stage.REFUSED, why=why, taken=claim.launch)
            case ClaimFault(sha, message):
                session.reach([sha], Stage.REFUSED, why=message)


def _place(session: LaunchSession, source: Source, shas: Sequence[str], progress: Progress) -> None:
    launch, remote = session.launch, session.launch.remote
    placed: list[str] = []
    request = Place(
        clone=session.clone,
        runs=remote.runs,
        launch=launch.id,
        token=launch.token,
        base=launch.base,
        source=source,
        shared=list(session.shared),
        placements=[placement_of(session, session.runs[sha]) for sha in shas],
        left_out=list(session.left_out),
        worker=session.other_worker,
    )
    for event in session.connection.ask(request):
        if isinstance(event, Placed):
            placed.append(session.commits[event.directory])
            progress("placing", len(placed), len(shas))
        elif isinstance(event, PlaceRefused):
            session.reach([session.commits[event.directory]], Stage.REFUSED, why=event.message)
    session.reach(placed, Stage.PLACED)


def placement_of(session: LaunchSession, run: RunRecord) -> Placement:
    """Return the run directory of a run, as the agent makes it."""
    config = own_config(session.launch, run)
    meta: dict[str, object] = {"node": run.node, "id": run.id, "point": run.point, "config": config}
    if run.identity:
        meta |= {"fingerprint": run.identity.fingerprint, "replicate": run.identity.replicate}
    if run.added:
        meta["added"] = True
    return Placement(
        directory=run.directory,
        sha=run.commit.sha,
        parent=run.commit.base,
        tree=run.commit.tree,
        meta=meta,
        claim=session.claims.get(run.commit.sha, ""),
    )


def _submit_held(session: LaunchSession, shas: Sequence[str], progress: Progress) -> None:
    ready = [session.runs[sha] for sha in shas if session.runs[sha].stage is Stage.PLACED]
    submissions = submissions_of(session, ready)
    session.begin_submitting({each.key: each.shas for each in submissions})
    session.journal.sync()
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
                session.grouping,
                scripts,
                session.dependencies,
                in_doubt=not session.in_doubt.isdisjoint(each.shas),
            )
            for each in submissions
        ],
        limit_patience=0.0 if session.is_at_limit else None,
        rate=session.services.rate,
        part=session.next_part(),
    )
    for event in session.connection.ask(request):
        if isinstance(event, SubmitWarning):
            session.warnings.append(event.message)
        elif isinstance(event, Held | Rejected | InDoubt):
            # a second answer comes if Slurm contradicts what sbatch printed
            answered.update(_note_answer(session, event))
            progress("submitting", len(answered), len(ready))


def _note_answer(session: LaunchSession, event: Held | Rejected | InDoubt) -> list[str]:
    """Record the result for runs, and return their commits."""
    directories = event.jobs if isinstance(event, Held) else event.directories
    shas = [session.commits[directory] for directory in directories]
    match event:
        case Held():
            for sha, job in zip(shas, event.jobs.values(), strict=True):
                session.reach([sha], Stage.HELD, job=job)
        case Rejected(limit=True):
            session.is_at_limit = True
            why = f"{event.message}\n{AGAIN}"
            if session.runs[shas[0]].submission.startswith(f"{GroupingKind.ARRAY}-"):
                why += TOO_LONG.format(len(shas))
            session.reach(shas, Stage.PLACED, why=why)
        case Rejected():
            session.reach(shas, Stage.REJECTED, why=event.message)
        case InDoubt():
            session.reach(shas, Stage.INDOUBT, why=event.message)
    return shas


def submissions_of(session: LaunchSession, ready: Sequence[RunRecord]) -> list[Submission]:
    """Return the submissions that runs belong to, or are to form."""
    known = session.members({each.submission for each in ready})
    members = grouped((run.submission, run) for run in known)
    longest = session.connection.host().max_tasks or DEFAULT_ARRAY_SIZE
    return form_submissions(ready, members, session.grouping, longest, session.dependencies)


def _release(session: LaunchSession, shas: Sequence[str]) -> None:
    keys = {session.runs[sha].submission for sha in shas}
    held = [run for run in session.members(keys) if run.stage is Stage.HELD]
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
    """Return the id of a task's whole array: releasing it releases all its tasks."""
    return str(JobId.parse(job)._replace(task=""))
