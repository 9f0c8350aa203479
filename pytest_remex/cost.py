"""What a launch asks for: jobs and core-hours, from the #SBATCH headers after the patch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_remex.sbatch import Header, core_hours


@dataclass(frozen=True, slots=True)
class Cost:
    """Jobs, the core-hours that they may use at most, and how many of them name no time limit."""

    jobs: int
    core_hours: float
    unlimited: int

    @classmethod
    def of(cls, headers: Iterable[Header]) -> Cost:
        """Add up what headers ask for."""
        hours = [core_hours(header) for header in headers]
        known = [each for each in hours if each is not None]
        return cls(len(hours), sum(known), len(hours) - len(known))

    def __str__(self) -> str:
        """Say it in words."""
        jobs = f"{self.jobs} job{'' if self.jobs == 1 else 's'}"
        text = f"{jobs} and at most {self.core_hours:,.4g} core-hours"
        if not self.unlimited:
            return text
        return f"{text}, not counting {self.unlimited} without a time limit (#SBATCH -t)"
