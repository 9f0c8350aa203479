"""Removes what launches that a killed pytest left behind have in other places."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pytest_remex.launch import pipeline
from pytest_remex.launch.requests import Services, is_same, publisher_for
from pytest_remex.launch.session import LaunchSession
from pytest_remex.model import Remote, Repo
from pytest_remex.records.store import Journal, LaunchRecord


def tidy_after_crashes(
    records: Iterable[LaunchRecord],
    opened: Collection[str],
    places: Mapping[Remote, Repo],
    doors: Services,
) -> list[str]:
    """Remove the temporary branches of launches other than the `opened`; warn of unfinished ones.

    `places` are the remotes that this pytest run knows, with their repositories. Raises
    `RemexError` where that fails.
    """
    warnings = []
    for record in records:
        if record.launch.id in opened:
            continue
        left = [run for run in record.runs.values() if not run.stage.settled]
        if left:
            warnings.append(
                f"launch {record.launch.id} was interrupted with {len(left)} runs unsubmitted: "
                f"submit the same sweep again to finish it, or give it up with "
                f"--remex-cancel --remex-launch={record.launch.id}"
            )
        if record.tips and not record.tidied:
            _tidy(record, places, doors)
    return warnings


def _tidy(record: LaunchRecord, places: Mapping[Remote, Repo], doors: Services) -> None:
    launch = record.launch
    for remote, repo in places.items():
        if is_same(remote, launch.remote):
            workspace = doors.workspaces.at(repo, launch.base)
            connection = doors.connect(remote)
            publisher = publisher_for(workspace, launch, connection, record.tips)
            journal = Journal.resume(record)
            pipeline.finish(LaunchSession(launch, journal, workspace, connection, publisher))
            journal.close()
            return
