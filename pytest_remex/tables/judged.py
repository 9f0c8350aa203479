"""An experiment that is collected, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_remex.collect.notes import Note
from pytest_remex.collect.pipeline import Collected
from pytest_remex.model import Config, Scalar, Sweep


@dataclass(slots=True)
class Judged:
    """An experiment and what became of it."""

    node: str
    sweep: Sweep
    parameters: Config
    collected: Collected
    verdict: str = ""
    reason: str = ""
    kept: Note = field(default_factory=Note)
    """The note that lies with the outputs; `note` takes its place."""
    note: Note = field(default_factory=Note)
    measures: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def renoted(self) -> bool:
        """Whether the note that lies with the outputs is to be written anew."""
        return bool(self.collected.outputs.files) and self.note != self.kept
