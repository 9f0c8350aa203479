"""A launch that is under way, and what becomes of its runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from pytest_remex.grouping import Grouping
from pytest_remex.launch.publish import Publisher
from pytest_remex.records.journal import Journal, staged
from pytest_remex.records.reading import Entry, Launch, Stage
from pytest_remex.remote import Connection
from pytest_remex.repo.workspace import Workspace


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
class OpenLaunch:
    """A launch that is under way, with the doors that it goes through."""

    launch: Launch
    journal: Journal
    workspace: Workspace
    connection: Connection
    publisher: Publisher
    grouping: Grouping = field(default_factory=Grouping)
    entries: dict[str, Entry] = field(default_factory=dict)
    """All runs of the launch so far, by commit."""
    commits: dict[str, str] = field(default_factory=dict)
    """The commit of each run directory."""
    doubtful: frozenset[str] = frozenset()
    """The commits that an earlier pytest was submitting when it was interrupted."""
    warnings: list[str] = field(default_factory=list)
    """What the cluster told of, to be shown once at the end."""

    def add(self, entries: Iterable[Entry]) -> None:
        """Remember runs."""
        for entry in entries:
            self.entries[entry.commit.sha] = entry
            self.commits[entry.directory] = entry.commit.sha

    def note(self, shas: Iterable[str], stage: Stage, **facts: str) -> None:
        """Write that runs have reached a stage, and remember it."""
        shas = list(shas)
        self.journal.write(staged(sha, stage, **facts) for sha in shas)
        for sha in shas:
            said = {"why": "", **facts}
            self.entries[sha] = replace(self.entries[sha], stage=stage, **said)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs of one launch that are sent together; `tip` is the commit that reaches all of theirs."""

    opened: OpenLaunch
    shas: Sequence[str]
    tip: str
