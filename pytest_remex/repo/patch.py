"""What a sweep's body did to the checkout."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """What a patch did to one file; no content: it was removed."""

    path: bytes
    mode: str = ""
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """What a sweep's body did to the checkout, removals first.

    `ignored` are the new files that .gitignore keeps out of the experiment, `leaving` the
    experiment's links that lead out of the checkout, with what they point to.
    """

    edits: tuple[Edit, ...]
    ignored: tuple[str, ...]
    leaving: tuple[tuple[str, str], ...] = ()
