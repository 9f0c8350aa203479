"""Removes what launches that a killed command left behind have in other places."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pytest_remex.interaction import counted
from pytest_remex.launch import pipeline
from pytest_remex.launch.options import Grouping
from pytest_remex.launch.session import Services, is_same_place, resume
from pytest_remex.model import Remote, Repo
from pytest_remex.records.store import LaunchRecord


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
            pipeline.finish(session)
            session.journal.close()
            return
