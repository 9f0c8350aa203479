"""Discard runs that an interrupted launch left without a job, so that nobody can submit them.

The agent ends their submission, in their run directories, for all clients. Then the record says
that they are discarded, and a later submit makes new runs. If a crash comes in between, the next
submit finds them refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from pytest_remex.common.claims import Discard, Discarded, NotDiscarded
from pytest_remex.common.records import AppendRecord
from pytest_remex.display import some_of
from pytest_remex.errors import RecordError, RepositoryError
from pytest_remex.launch.pipeline import placement_of, submissions_of
from pytest_remex.launch.session import LaunchSession, Services, reopen
from pytest_remex.launch.submissions import Submission
from pytest_remex.model import Repo
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.launch import whoami
from pytest_remex.records.schema import HAS_JOB, RunRecord, Stage
from pytest_remex.records.store import LaunchRecord

WHY = "cancelled by {who} before it was submitted: --remex-submit sends it again"
SHOWN = 5
"""The most runs that a message names."""
_ENDED = frozenset({Stage.REFUSED, Stage.REJECTED})


@dataclass(slots=True)
class DiscardedRuns:
    """What became of runs, by run directory.

    `failed` are the reasons why some were not discarded; `live` are those that have a job.
    """

    discarded: set[str] = field(default_factory=set)
    live: dict[str, RecordedRun] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def discard(runs: Iterable[RecordedRun], repo: Repo, services: Services) -> DiscardedRuns:
    """Discard the runs of interrupted launches.

    Args:
        runs: Runs that are not settled. No other command may be submitting from here.
        repo: The repository of their commits.
        services: Access to repositories and remotes.

    Raises:
        RemoteError: A remote cannot be asked.

    """
    by_record: dict[int, tuple[LaunchRecord, list[RunRecord]]] = {}
    for each in runs:
        by_record.setdefault(id(each.record), (each.record, []))[1].append(each.run)
    found = DiscardedRuns()
    for record, group in by_record.values():
        directories = [run.directory for run in group]
        if record.owner:
            why = f"{record.owner} began to submit it: only they can cancel it"
            found.failed.update(dict.fromkeys(directories, why))
            continue
        try:
            session = reopen(record, repo, services)
            with closing(session.journal):
                _discard(session, group, found)
        except (RecordError, RepositoryError) as error:
            found.failed.update(dict.fromkeys(directories, str(error)))
    return found


def _discard(session: LaunchSession, runs: Sequence[RunRecord], found: DiscardedRuns) -> None:
    submissions = _whole(submissions_of(session, runs), runs, found)
    asked = {e.directory: e for each in submissions for e in each.runs if not e.settled}
    launch, why = session.launch, WHY.format(who=whoami())
    request = Discard(
        runs=launch.remote.runs,
        launch=launch.id,
        token=launch.token,
        scheduler=session.connection.scheduler,
        why=why,
        discarded=[placement_of(session, run) for run in asked.values()],
        submissions=[
            each.request(
                session.grouping,
                dict.fromkeys(each.shas, ""),
                {},
                in_doubt=not session.in_doubt.isdisjoint(each.shas),
            )
            for each in submissions
        ],
        part=session.next_part(),
    )
    for event in session.connection.ask(request) if asked else ():
        if not isinstance(event, Discarded | NotDiscarded) or event.directory not in asked:
            continue
        run = asked[event.directory]
        if isinstance(event, Discarded):
            # the outputs of a continued run's earlier jobs are still its own
            is_first = run.job_number == 1
            session.reach([run.commit.sha], Stage.REJECTED, why=why, discarded=is_first)
            found.discarded.add(run.directory)
        elif event.job:
            found.live[run.directory] = _with_job(session, run, event.job)
        else:
            found.failed[run.directory] = event.message
    for _ in session.connection.ask(AppendRecord(launch.remote.runs, session.next_part())):
        pass


def _with_job(session: LaunchSession, run: RunRecord, job: str) -> RecordedRun:
    """Record the job of a run, and return the run."""
    if run.stage not in HAS_JOB:
        session.reach([run.commit.sha], Stage.HELD, job=job)
    record = LaunchRecord(session.launch, session.runs, session.journal.path)
    return RecordedRun(record, session.runs[run.commit.sha])


def _whole(
    submissions: Iterable[Submission], runs: Iterable[RunRecord], found: DiscardedRuns
) -> list[Submission]:
    """Return the submissions that have no other runs; these may have the same job."""
    chosen = {run.directory for run in runs}
    whole = []
    for each in submissions:
        others = [e.node for e in each.runs if e.directory not in chosen and e.stage not in _ENDED]
        if not others:
            whole.append(each)
            continue
        named = some_of(others, SHOWN)
        why = f"it is submitted together with {named}, not selected: select these as well"
        # those that have a job are cancelled as any other, without the rest of their array
        mine = (e for e in each.runs if e.directory in chosen and e.stage not in HAS_JOB)
        found.failed.update({e.directory: why for e in mine})
    return whole
