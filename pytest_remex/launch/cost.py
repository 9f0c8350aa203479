"""What a launch asks for: jobs, core-hours and disk, known before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich import filesize

from pytest_remex.interaction import counted
from pytest_remex.sbatch.header import Header, core_hours


@dataclass(frozen=True, slots=True)
class Cost:
    """Jobs, the core-hours that they may use at most, and the bytes of their run directories.

    `unlimited` counts the jobs that name no time limit, whose hours are not in `core_hours`.
    """

    jobs: int
    core_hours: float
    unlimited: int
    disk: int

    @classmethod
    def of(cls, jobs: Iterable[tuple[Header, int]]) -> Cost:
        """Add up jobs, each with its header and the bytes that its run directory takes."""
        jobs = list(jobs)
        hours = [core_hours(header) for header, _ in jobs]
        known = [each for each in hours if each is not None]
        disk = sum(size for _, size in jobs)
        return cls(len(hours), sum(known), len(hours) - len(known), disk)

    def __add__(self, other: Cost) -> Cost:
        """Add two launches' costs."""
        return Cost(
            self.jobs + other.jobs,
            self.core_hours + other.core_hours,
            self.unlimited + other.unlimited,
            self.disk + other.disk,
        )

    def __str__(self) -> str:
        """Return it in words, such as `3 jobs, at most 0.25 core-hours, ...`."""
        hours, disk = f"{self.core_hours:,.4g}", filesize.decimal(self.disk)
        text = (
            f"{counted(self.jobs, 'job')}, at most {hours} core-hours, and {disk} of run "
            f"directories"
        )
        if not self.unlimited:
            return text
        return f"{text}, not counting the hours of {self.unlimited} without a limit (#SBATCH -t)"
