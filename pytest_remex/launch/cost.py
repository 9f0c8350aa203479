"""What a launch asks for: jobs, core-hours and disk, known before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich import filesize

from pytest_remex.interaction import counted
from pytest_remex.repo.identity import Footprint
from pytest_remex.sbatch.header import Header, core_hours


def written(footprint: Footprint) -> str:
    """Return files and bytes in words, such as `1.2 kB in 3 files`."""
    return f"{filesize.decimal(footprint.size)} in {counted(footprint.files, 'file')}"


@dataclass(frozen=True, slots=True)
class Cost:
    """Jobs, the core-hours that they may use at most, and what their run directories take.

    `unlimited` counts the jobs that name no time limit, whose hours are not in `core_hours`.
    """

    jobs: int
    core_hours: float
    unlimited: int
    disk: Footprint

    @classmethod
    def of(cls, jobs: Iterable[tuple[Header, Footprint]]) -> Cost:
        """Add up jobs, each with its header and what its run directory takes."""
        jobs = list(jobs)
        hours = [core_hours(header) for header, _ in jobs]
        known = [each for each in hours if each is not None]
        disk = Footprint.total(size for _, size in jobs)
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
        text = (
            f"{counted(self.jobs, 'job')}, at most {self.core_hours:,.4g} core-hours, and "
            f"{written(self.disk)} of run directories"
        )
        if not self.unlimited:
            return text
        return f"{text}, not counting the hours of {self.unlimited} without a limit (#SBATCH -t)"
