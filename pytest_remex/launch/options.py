"""What a user chooses about a launch. It imports nothing heavy: every pytest run loads it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of the launch records, and of the fetched outputs, in the output folder.

    `top` is the folder that node ids in records are relative to.
    """

    launches: Path
    runs: Path
    top: Path


class GroupingKind(StrEnum):
    """What one sbatch submits."""

    SINGLE = "single"
    ARRAY = "array"
    PACK = "pack"


@dataclass(frozen=True, slots=True)
class Grouping:
    """How a launch's runs are grouped, and how many of a group run at a time (0: no limit)."""

    kind: GroupingKind = GroupingKind.SINGLE
    limit: int = 0


class Resubmit(StrEnum):
    """Which experiments that have a run already are submitted once more."""

    NEVER = "never"
    FAILED = "failed"
    CHECK = "check"
    """Those whose job failed, and those that completed and failed their check."""
    FORGOTTEN = "forgotten"
    """Those whose job failed, and those of which Slurm has no trace."""
    ALWAYS = "always"

    @property
    def is_certain(self) -> bool:
        """Whether the controller itself must be asked for what its listing does not have."""
        return self is Resubmit.FORGOTTEN

    @property
    def is_retry(self) -> bool:
        """Whether what became of the last run decides."""
        return self in {Resubmit.FAILED, Resubmit.CHECK, Resubmit.FORGOTTEN}


@dataclass(frozen=True, slots=True)
class LaunchOptions:
    """What a user chooses about a launch.

    `confirm` is the most jobs that a launch may have; None is any number. `new_base` sends also
    what has a run on another base. `note` says why, and is kept in the launch record.
    """

    grouping: Grouping = Grouping()
    resubmit: Resubmit = Resubmit.NEVER
    confirm: int | None = None
    new_base: bool = False
    note: str = ""
