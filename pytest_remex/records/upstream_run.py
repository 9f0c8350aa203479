"""The upstream of a run in a launch record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_remex.model import Config
from pytest_remex.records.fields import Json, json_object, texts
from pytest_remex.records.fields import field as read


@dataclass(frozen=True, slots=True)
class UpstreamRun:
    """The run that another one comes after, and what is brought from its run directory.

    `job` is its job when the other was submitted; `brought` leads from paths in the other's run
    directory to paths in this one's.
    """

    node: str
    point: Config
    launch: str
    commit: str
    directory: str
    job: str
    brought: Mapping[str, str] = field(default_factory=dict)
    copied: tuple[str, ...] = ()
    """Those of the paths in this one's run directory that are copies."""

    def to_json(self) -> dict[str, Any]:
        """Return it as an object of a launch record."""
        return {
            "node": self.node,
            "point": self.point,
            "launch": self.launch,
            "commit": self.commit,
            "directory": self.directory,
            "job": self.job,
            "brought": self.brought,
            **({"copied": list(self.copied)} if self.copied else {}),
        }

    @classmethod
    def of(cls, data: Json) -> UpstreamRun | None:
        """Return the upstream of a run, from the line that introduces it; None if it has none."""
        return cls.from_json(json_object(data, "upstream")) if "upstream" in data else None

    @classmethod
    def from_json(cls, data: Json) -> UpstreamRun:
        """Return it from a launch record. Raises `ValueError` for a field of another type."""
        brought = json_object(data, "brought")
        if not all(isinstance(source, str) for source in brought.values()):
            raise ValueError(f"'brought' is {brought!r:.60}, not paths by paths")
        return cls(
            node=read(data, "node", str),
            point=json_object(data, "point"),
            launch=read(data, "launch", str),
            commit=read(data, "commit", str),
            directory=read(data, "directory", str),
            job=read(data, "job", str),
            brought=brought,
            copied=texts(data, "copied") if "copied" in data else (),
        )
