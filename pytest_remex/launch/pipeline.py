"""The phase that sends experiments out: commit, push, place, submit held, record, release.

Each step is announced in the launch record before it is done and noted after it, so that the same
command, run again after a crash anywhere, finds out what happened and goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_remex import names
from pytest_remex.common.jobs import JobId
from pytest_remex.common.protocol import (
    Held,
    InDoubt,
    NotReleased,
    Place,
    Placed,
    Placement,
    PlaceRefused,
    Rejected,
    Release,
    Submit,
    Tidy,
)
from pytest_remex.launch.session import (
    Batch,
    LaunchSession,
    Outcome,
    Progress,
    Submitted,
    Unsubmitted,
)
from pytest_remex.launch.submissions import Submission, form_submissions
from pytest_remex.model import Config
from pytest_remex.records.schema import Committed, Pushing, RunRecord, Stage, Tidied

ALREADY = frozenset({Stage.HELD, Stage.RELEASED})
SENT = ALREADY | {Stage.SUBMITTING, Stage.INDOUBT}
"""The stages of a run that may have a job."""
DEFAULT_ARRAY_SIZE = 1000
"""Tasks in an array at most where the cluster does not say; Slurm's default is 1,001."""


def commit(opened: LaunchSession, entries: Sequence[RunRecord]) -> Batch:
    """Note runs in the launch record, and keep their commits in the user's repository."""
    _announce(opened, entries)
    shas = [entry.commit.sha for entry in entries]
    return Batch(opened, shas, _keep(opened, shas))


def send(batch: Batch, progress: Progress) -> list[Outcome]:
    """Submit a batch that was committed, and give an outcome for each of its runs.

    Nothing is submitted twice: the same call, made again after it failed anywhere, goes on.
    It may run in a thread of its own while more is patched, but not while more of this launch is
    committed. Raises `RemexError` where the batch could not be handled; where that is a
    `ConnectionLostError`, some of its jobs may have been submitted.
    """
    opened, shas = batch.opened, batch.shas
    _publish_and_place(opened, batch.tip, shas, progress)
    _submit_held(opened, shas, progress)
    _release(opened, shas)
    return [_outcome(opened.entries[sha]) for sha in shas]


def finish(opened: LaunchSession) -> None:
    """Remove what a launch left in other places. Raises `RemexError` where that fails."""
    opened.publisher.withdraw()
    launch, remote = opened.launch, opened.launch.remote
    for _ in opened.connection.ask(Tidy(_clone(opened), remote.runs, launch.id, launch.token)):
        pass
    opened.journal.write([Tidied()])


def _announce(opened: LaunchSession, entries: Sequence[RunRecord]) -> None:
    fresh = [entry for entry in entries if entry.commit.sha not in opened.entries]
    opened.journal.write(Committed(entry) for entry in fresh)
    opened.add(fresh)


def _keep(opened: LaunchSession, shas: Sequence[str]) -> str:
    launch = opened.launch
    return opened.workspace.committer.gather(names.keep_ref(launch.id), shas, launch.token)


def _publish_and_place(
    opened: LaunchSession, tip: str, shas: Sequence[str], progress: Progress
) -> None:
    waiting = [sha for sha in shas if opened.entries[sha].stage not in ALREADY]
    opened.journal.write([Pushing(tip)])
    opened.journal.sync()
    progress("pushing", 0, len(waiting))
    source = opened.publisher.publish(tip)
    opened.note(waiting, Stage.PUSHED)
    launch, remote = opened.launch, opened.launch.remote
    placed: list[str] = []
    request = Place(
        clone=_clone(opened),
        runs=remote.runs,
        launch=launch.id,
        token=launch.token,
        base=launch.base,
        source=source,
        shared=list(remote.shared),
        placements=[_placement(opened, opened.entries[sha]) for sha in waiting],
    )
    for event in opened.connection.ask(request):
        if isinstance(event, Placed):
            placed.append(opened.commits[event.directory])
            progress("placing", len(placed), len(waiting))
        elif isinstance(event, PlaceRefused):
            opened.note([opened.commits[event.directory]], Stage.REFUSED, why=event.message)
    opened.note(placed, Stage.PLACED)


def _placement(opened: LaunchSession, entry: RunRecord) -> Placement:
    config: Config = {**opened.launch.base_config, **entry.point}
    return Placement(
        directory=entry.directory,
        sha=entry.commit.sha,
        parent=entry.commit.base,
        tree=entry.commit.tree,
        meta={"node": entry.node, "id": entry.id, "point": entry.point, "config": config},
    )


def _submit_held(opened: LaunchSession, shas: Sequence[str], progress: Progress) -> None:
    ready = [opened.entries[sha] for sha in shas if opened.entries[sha].stage is Stage.PLACED]
    units = _units(opened, ready)
    for unit in units:
        opened.note(_shas(unit), Stage.SUBMITTING, submission=unit.key)
    opened.journal.sync()
    by_key = {unit.key: unit for unit in units}
    done = 0
    request = Submit(
        runs=opened.launch.remote.runs,
        launch=opened.launch.id,
        token=opened.launch.token,
        scheduler=opened.connection.scheduler,
        submissions=[
            unit.request(opened.grouping, in_doubt=not opened.doubtful.isdisjoint(_shas(unit)))
            for unit in units
        ],
    )
    for event in opened.connection.ask(request):
        if isinstance(event, Held | Rejected | InDoubt):
            unit = by_key[event.key]
            _note_submitted(opened, unit, event)
            done += len(unit.entries)
            progress("submitting", done, len(ready))


def _note_submitted(
    opened: LaunchSession, unit: Submission, event: Held | Rejected | InDoubt
) -> None:
    match event:
        case Held():
            for directory, job in event.jobs.items():
                opened.note([opened.commits[directory]], Stage.HELD, job=job)
        case Rejected(limit=True):
            why = f"{event.message}\nrun the same command again for the rest"
            opened.note(_shas(unit), Stage.PLACED, why=why)
        case Rejected():
            opened.note(_shas(unit), Stage.REJECTED, why=event.message)
        case InDoubt():
            opened.note(_shas(unit), Stage.INDOUBT, why=event.message)


def _units(opened: LaunchSession, ready: Sequence[RunRecord]) -> list[Submission]:
    members: dict[str, list[RunRecord]] = {}
    for entry in opened.entries.values():
        members.setdefault(entry.submission, []).append(entry)
    longest = opened.connection.host().max_array_size or DEFAULT_ARRAY_SIZE
    return form_submissions(ready, members, opened.grouping, longest)


def _release(opened: LaunchSession, shas: Sequence[str]) -> None:
    units = {opened.entries[sha].submission for sha in shas}
    held = [e for e in opened.entries.values() if e.stage is Stage.HELD and e.submission in units]
    asked = sorted({_whole(entry.job) for entry in held if not entry.header.held})
    opened.journal.sync()
    refused: dict[str, tuple[Stage, str]] = {}
    request = Release(opened.launch.remote.runs, opened.connection.scheduler, asked)
    for event in opened.connection.ask(request):
        if isinstance(event, NotReleased):
            stage = Stage.RELEASED if event.lost else Stage.HELD
            refused[_whole(event.job)] = stage, event.message
    for entry in held:
        if refusal := refused.get(_whole(entry.job)):
            opened.note([entry.commit.sha], refusal[0], why=refusal[1])
    done = [entry.commit.sha for entry in held if _whole(entry.job) not in refused]
    opened.note(done, Stage.RELEASED)
    opened.journal.sync()


def _whole(job: str) -> str:
    """Return the id of the job that a task is part of: releasing it releases them all."""
    return str(JobId.parse(job)._replace(task=""))


def _outcome(entry: RunRecord) -> Outcome:
    if entry.stage is Stage.RELEASED and not entry.why:
        return Submitted(entry.job)
    if entry.stage is Stage.HELD:
        why = f"job {entry.job} is held and could not be released: {entry.why}"
        return Unsubmitted(why, doubtful=True)
    if entry.stage is Stage.INDOUBT:
        return Unsubmitted(
            f"whether its job was accepted is not known ({entry.why}): run the same command again",
            doubtful=True,
        )
    return Unsubmitted(entry.why or f"it stayed {entry.stage}: run the same command again")


def _clone(opened: LaunchSession) -> str:
    remote = opened.launch.remote
    return remote.clone if remote.host is not None else str(opened.workspace.git.top)


def _shas(unit: Submission) -> list[str]:
    return [entry.commit.sha for entry in unit.entries]
