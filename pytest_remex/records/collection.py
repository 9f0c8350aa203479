"""Lines of a launch record on runs whose outputs were fetched completely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_remex.records.fields import Json, field, json_object


@dataclass(frozen=True, slots=True)
class Collection:
    """Who fetched all outputs of a run's job, as `user@machine`, and on which day."""

    job: str
    by: str
    on: str


@dataclass(frozen=True, slots=True)
class Collected:
    """All outputs of jobs were fetched; `jobs` are their ids, by commit."""

    by: str
    on: str
    jobs: Mapping[str, str]

    def collections(self) -> dict[str, Collection]:
        """Return what this says of each run, by commit."""
        return {sha: Collection(job, self.by, self.on) for sha, job in self.jobs.items()}

    def to_json(self) -> dict[str, Any]:
        """Return it as a line of a launch record."""
        return {"state": "COLLECTED", "by": self.by, "on": self.on, "jobs": self.jobs}

    @classmethod
    def from_json(cls, data: Json) -> Collected:
        """Return it from a launch record. Raises `ValueError` for a field of another type."""
        jobs = json_object(data, "jobs")
        by, on = field(data, "by", str), field(data, "on", str)
        for text in (by, on, *jobs.values()):
            if not isinstance(text, str) or not text.isprintable():
                raise ValueError(f"{text!r:.60} is not a printable text")
        return cls(by, on, jobs)
