"""Discard what interrupted launches left: runs without a job, temporary branches, staged files.

The agent ends the submission of runs in their run directories, for all clients. Then the record
says that they are discarded, and a later submit makes new runs. If a crash comes in between, the
next submit finds them refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from pytest_remex.common.claims import Discard, Discarded, NotDiscarded
from pytest_remex.common.grouping import grouped
from pytest_remex.common.protocol import Tidy
from pytest_remex.display import counted, some_of
from pytest_remex.errors import RecordError, RepositoryError
from pytest_remex.launch.options import Grouping
from pytest_remex.launch.pipeline import finish, placement_of, submissions_of
from pytest_remex.launch.push import forget_removed_branches, publisher_for
from pytest_remex.launch.session import LaunchSession, Services, reopen, resume
from pytest_remex.launch.submissions import Submission
from pytest_remex.model import Remote, Repo
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.journal import Journal
from pytest_remex.records.launch import whoami
from pytest_remex.records.schema import HAS_JOB, LeftBranchRemoved, RunRecord, Stage
from pytest_remex.records.store import LaunchRecord

WHY = "cancelled by {who} before it was submitted: --remex-submit sends it again"
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
    found = DiscardedRuns()
    for group in grouped((id(each.record), each) for each in runs).values():
        record, its_runs = group[0].record, [each.run for each in group]
        directories = [run.directory for run in its_runs]
        if record.owner:
            why = f"{record.owner} began to submit it: only they can cancel it"
            found.failed.update(dict.fromkeys(directories, why))
            continue
        try:
            session = reopen(record, repo, services)
            with closing(session.journal):
                _discard(session, its_runs, found)
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
    session.send_record()


def _with_job(session: LaunchSession, run: RunRecord, job: str) -> RecordedRun:
    """Record the job of a run, and return the run."""
    if run.stage not in HAS_JOB:
        session.reach([run.commit.sha], Stage.HELD, job=job)
    return session.recorded(run.commit.sha)


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
        named = some_of(others)
        why = f"it is submitted together with {named}, not selected: select these as well"
        # those that have a job are cancelled as any other, without the rest of their array
        mine = (e for e in each.runs if e.directory in chosen and e.stage not in HAS_JOB)
        found.failed.update({e.directory: why for e in mine})
    return whole


def clean_up_after_crashes(
    index: RunIndex,
    open_launches: Collection[str],
    repos: Mapping[Remote, Repo],
    services: Services,
) -> list[str]:
    """Remove the temporary branches and staged files of interrupted launches, and refs to them.

    Args:
        index: All launch records.
        open_launches: The launches of this command, which are not touched.
        repos: This command's remotes, each with its repository; launches on other remotes are left
            alone.
        services: Access to repositories and remotes.

    Returns:
        A warning for each launch that has runs left to submit.

    Raises:
        RemexError: Something could not be removed.
    """
    warnings = []
    for record in index.records:
        if record.launch.id in open_launches:
            continue
        unsettled = [run for run in record.runs.values() if not run.settled]
        left = sum(not _is_elsewhere(index, record, run) for run in unsettled)
        if left and record.own:
            warnings.append(
                f"launch {record.launch.id} was interrupted with "
                f"{counted(left, 'run')} not submitted: submit the same points of "
                f"{record.launch.name} again to finish it, or --remex-cancel them"
            )
        if record.tips and not record.tidied:
            _clean_up(record, repos, services)
        if record.left and not record.owner and not left:
            _remove_left(record, repos, services)
    uses_origin = (remote for remote in repos if remote.host and remote.via == "origin")
    for repo in {repos[remote] for remote in uses_origin}:
        forget_removed_branches(services.workspaces.git(repo))
    return warnings


def _is_elsewhere(index: RunIndex, record: LaunchRecord, run: RunRecord) -> bool:
    """Return whether another launch has submitted a run's experiment meanwhile."""
    alike = index.alike(run.commit, run.identity)
    others = (each for each in alike if each.run.directory != run.directory)
    return any(
        each.run.may_have_job and each.belongs_to(record.launch.name, run.node) for each in others
    )


def _clean_up(record: LaunchRecord, repos: Mapping[Remote, Repo], services: Services) -> None:
    for remote, repo in repos.items():
        if remote.is_same_place(record.launch.remote):
            session = resume(record, repo, remote, services, Grouping())
            with closing(session.journal):
                finish(session)
            return


def _remove_left(record: LaunchRecord, repos: Mapping[Remote, Repo], services: Services) -> None:
    """Remove what other clients, which may never return, left of a finished launch."""
    launch = record.launch
    for remote, repo in repos.items():
        if not remote.is_same_place(launch.remote):
            continue
        git, connection = services.workspaces.git(repo), services.connect(remote)
        clone = remote.clone if remote.host is not None else str(git.top)
        with closing(Journal.resume(record)) as journal:
            for worker, tips in record.left.items():
                publisher_for(launch, worker, git, connection, tips).withdraw()
                named = "" if worker == launch.id else worker
                connection.tell(Tidy(clone, remote.runs, launch.id, launch.token, named))
                journal.write([LeftBranchRemoved(worker)])
        return
