"""The commits between two others, for a search among them."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_remex.errors import RepositoryError
from pytest_remex.repo.git import Git

_FORMAT = "%H%x1f%h%x1f%ad%x1f%s"


@dataclass(frozen=True, slots=True)
class HistoryCommit:
    """A commit, with its short sha, the date of its author (a day) and its subject."""

    sha: str
    short: str
    date: str
    subject: str


def history(git: Git, good: str, bad: str, option: str) -> list[HistoryCommit]:
    """Return a commit and those after it up to another one, along first parents, oldest first.

    Args:
        git: The repository.
        good: The first one: any commit-ish.
        bad: The last one.
        option: The option that names both, for messages.

    Raises:
        RepositoryError: One of them does not exist, or the first does not come before the last.

    """
    first, last = git.resolve(good, option), git.resolve(bad, option)
    if first == last or not git.contains(first, last):
        raise RepositoryError(
            f"{option}: {good!r} ({first[:7]}) does not come before {bad!r} ({last[:7]}) in "
            f"{git.top}: name an older commit, then a younger one that has it in its history"
        )
    show = ("log", "--no-show-signature", f"--format={_FORMAT}", "--date=short")
    begin = git.run(*show, "--max-count=1", first)
    after = git.run(*show, "--first-parent", "--reverse", f"{first}..{last}")
    lines = [*begin.split("\n"), *after.split("\n")]
    return [HistoryCommit(*line.split("\x1f", 3)) for line in lines if line]
