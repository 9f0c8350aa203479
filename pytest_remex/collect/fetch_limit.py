"""How much a collect would fetch, and whether that needs the user's consent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rich import filesize

from pytest_remex.display import counted
from pytest_remex.errors import RemoteError

SHOWN = 5
"""The most patterns that a message names."""


@dataclass(frozen=True, slots=True)
class WantedFile:
    """An output to fetch: its path in the run directory, size in bytes, and the run's patterns."""

    name: str
    size: int
    patterns: Sequence[str]

    @property
    def pattern(self) -> str:
        """The pattern that it is fetched for: the first one that matches it."""
        matching = (each for each in self.patterns if fnmatchcase(self.name, each))
        return next(matching, self.name.partition("/")[0])


def refuse_above(most: int | None, files: Iterable[WantedFile]) -> None:
    """Refuse to fetch more bytes than `most` in all; None means any number.

    Raises:
        RemoteError: The files have more; the message says how much, by pattern.

    """
    files = list(files)
    total = sum(each.size for each in files)
    if most is None or total <= most:
        return
    sizes: dict[str, list[int]] = {}
    for each in files:
        sizes.setdefault(each.pattern, []).append(each.size)
    largest = sorted(sizes, key=lambda pattern: -sum(sizes[pattern]))
    named = [f"{pattern}: {_amount(sizes[pattern])}" for pattern in largest[:SHOWN]]
    more = [f"{len(largest) - SHOWN} more patterns"] if len(largest) > SHOWN else []
    raise RemoteError(
        f"this collect would fetch {_amount([each.size for each in files])}, above "
        f"remex_confirm_bytes = {filesize.decimal(most)}: nothing was fetched\n"
        f"{'; '.join([*named, *more])}\n"
        f"add --remex-yes to fetch it (in a script: yes=True), or choose fewer experiments (-k) "
        f"or fewer files with fetch= or remex_max_file"
    )


def _amount(sizes: Sequence[int]) -> str:
    return f"{filesize.decimal(sum(sizes))} in {counted(len(sizes), 'file')}"
