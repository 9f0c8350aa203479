"""The user's choices for a launch. This imports nothing slow: every pytest run loads it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Folders(NamedTuple):
    """The folders of launch records and fetched outputs, in the output folder.

    Node ids in records are relative to `top`.
    """

    launches: Path
    runs: Path
    top: Path


class GroupingKind(StrEnum):
    """What one sbatch submits."""

    SINGLE = "single"
    ARRAY = "array"
    PACK = "pack"


class Grouping(NamedTuple):
    """How a launch's runs are grouped, and how many of a group run at a time (0: no limit)."""

    kind: GroupingKind = GroupingKind.SINGLE
    limit: int = 0


class Resubmit(StrEnum):
    """Which experiments with an existing run are submitted again."""

    NEVER = "never"
    FAILED = "failed"
    CHECK = "check"
    """Those whose job failed, and those that completed and failed their check."""
    FORGOTTEN = "forgotten"
    """Those whose job failed, and those that Slurm has no trace of."""
    ALWAYS = "all"
    """All, whatever the state of their runs."""

    @property
    def is_certain(self) -> bool:
        """Whether the controller itself must be asked about jobs missing from its listing."""
        return self is Resubmit.FORGOTTEN

    @property
    def is_retry(self) -> bool:
        """Whether it depends on the outcome of the last run."""
        return self in {Resubmit.FAILED, Resubmit.CHECK, Resubmit.FORGOTTEN}


class LaunchOptions(NamedTuple):
    """The user's choices for a launch.

    `confirm` is the most jobs that a launch may have; None means any number. `new_base` also
    submits experiments with a run on another base. `again` adds a replicate to each point. `note`
    is the reason, stored in the record. `rate` is the most sbatch per second; None for no limit.
    """

    grouping: Grouping = Grouping()
    resubmit: Resubmit = Resubmit.NEVER
    confirm: int | None = None
    new_base: bool = False
    again: bool = False
    note: str = ""
    rate: float | None = None

    def of_experiment(self, *, chosen: bool) -> LaunchOptions:
        """Return the options for an experiment; what the user did not select is not run again."""
        if chosen or self.resubmit is not Resubmit.ALWAYS:
            return self
        return self._replace(resubmit=Resubmit.NEVER)
