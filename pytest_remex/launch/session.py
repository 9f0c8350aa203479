"""A launch that is under way, and what becomes of its runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from pytest_remex.launch.grouping import Grouping
from pytest_remex.launch.push import Publisher
from pytest_remex.records.schema import Launch, RunRecord, Stage, StageReached
from pytest_remex.records.store import Journal, changed
from pytest_remex.repo.workspace import Workspace
from pytest_remex.transport import Connection


class Progress(Protocol):
    """Told of a phase under way."""

    def __call__(self, what: str, done: int, total: int, detail: str = "") -> None:
        """Take what is being done, how many of it are done, how many there are, and more."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A run whose job was released."""

    job: str


@dataclass(frozen=True, slots=True)
class Unsubmitted:
    """A run that has no job, and why; `doubtful` where it may have one."""

    why: str
    doubtful: bool = False


Outcome: TypeAlias = Submitted | Unsubmitted


@dataclass(slots=True)
class LaunchSession:
    """A launch that is under way, with the doors that it goes through."""

    launch: Launch
    journal: Journal
    workspace: Workspace
    connection: Connection
    publisher: Publisher
    grouping: Grouping = field(default_factory=Grouping)
    entries: dict[str, RunRecord] = field(default_factory=dict)
    """All runs of the launch so far, by commit."""
    commits: dict[str, str] = field(default_factory=dict)
    """The commit of each run directory."""
    doubtful: frozenset[str] = frozenset()
    """The commits that an earlier pytest was submitting when it was interrupted."""

    def add(self, entries: Iterable[RunRecord]) -> None:
        """Remember runs."""
        for entry in entries:
            self.entries[entry.commit.sha] = entry
            self.commits[entry.directory] = entry.commit.sha

    def note(self, shas: Iterable[str], stage: Stage, **facts: str) -> None:
        """Write that runs have reached a stage, and remember it."""
        events = [StageReached(sha, stage, **facts) for sha in shas]  # type: ignore[arg-type]
        self.journal.write(events)
        for event in events:
            self.entries[event.commit] = changed(self.entries[event.commit], event)


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs of one launch that are sent together; `tip` is the commit that reaches all of theirs."""

    opened: LaunchSession
    shas: Sequence[str]
    tip: str
