"""How runs are grouped for the scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class GroupingKind(StrEnum):
    """How a unit's runs are submitted."""

    SINGLE = "single"
    ARRAY = "array"
    PACK = "pack"


@dataclass(frozen=True, slots=True)
class Grouping:
    """How a launch's runs are grouped, and how many of a group run at a time (0: no limit)."""

    kind: GroupingKind = GroupingKind.SINGLE
    limit: int = 0
