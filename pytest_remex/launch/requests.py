"""What is to be submitted, and the doors through which it goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_remex.launch.push import Here, OverConnection, Publisher, ThroughOrigin
from pytest_remex.model import Remote, Repo
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.schema import Launch
from pytest_remex.repo.workspace import Prepared, Workspace, Workspaces
from pytest_remex.transport import Connection


@dataclass(frozen=True, slots=True)
class SubmitRequest:
    """An experiment to submit: in the launch that was interrupted, or else in a new one."""

    prepared: Prepared
    repo: Repo
    remote: Remote
    interrupted: RecordedRun | None = None
    earlier: RecordedRun | None = None
    """The run that a retry is for."""


@dataclass(frozen=True, slots=True)
class Services:
    """How a launcher reaches repositories and remotes."""

    workspaces: Workspaces
    connect: Callable[[Remote], Connection]


def is_same(one: Remote, other: Remote) -> bool:
    """Say whether two remotes are one place, however it is reached."""
    return (one.host, one.clone, one.runs, one.via) == (
        other.host,
        other.clone,
        other.runs,
        other.via,
    )


def publisher_for(
    workspace: Workspace, launch: Launch, connection: Connection, tips: Sequence[str] = ()
) -> Publisher:
    """Give the way by which a launch's commits get to the clone.

    `tips` are what an interrupted pytest may have pushed already.
    """
    if launch.remote.host is None:
        return Here()
    if launch.remote.via == "connection":
        return OverConnection(workspace.git, launch.id, connection)
    return ThroughOrigin(workspace.git, launch.id, tips)
