"""Find commits in the history: those between two others, and those that abbreviated ids mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pytest_remex.errors import RepositoryError
from pytest_remex.model import Commit
from pytest_remex.repo.commits import Committer
from pytest_remex.repo.git import Git
from pytest_remex.repo.trees import listing

_FORMAT = "%H%x1f%h%x1f%ad%x1f%P%x1f%s"


@dataclass(frozen=True, slots=True)
class HistoryCommit:
    """A commit: its short sha, the date of its author (a day), its parents and its subject."""

    sha: str
    short: str
    date: str
    parents: str
    subject: str

    @property
    def is_merge(self) -> bool:
        """Whether it has several parents."""
        return " " in self.parents


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
    return [HistoryCommit(*line.split("\x1f", 4)) for line in lines if line]


SUBJECT = "Patch."
"""The message of each commit that RemoteExperiments makes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A commit's abbreviated id, about when it was made, and how its base begins, if known."""

    short: str
    when: datetime
    base: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    sha: str
    parents: tuple[str, ...]
    tree: str
    time: int
    subject: str


def find_commits(git: Git, wanted: Iterable[Wanted]) -> dict[Wanted, Commit]:
    """Return the commits that still exist in a repository, also without a branch.

    An id of four digits may mean several by now: it is the one that patches the wanted base and was
    made nearest to the time.
    """
    asked = list(dict.fromkeys(wanted))
    candidates: dict[str, list[str]] = {}
    for short in dict.fromkeys(each.short for each in asked):
        code, output, _ = git.attempt("rev-parse", f"--disambiguate={short}")
        candidates[short] = [] if code else output.split()
    known = _described(git, [sha for shas in candidates.values() for sha in shas])
    found = {}
    for each in asked:
        fitting = [known[sha] for sha in candidates[each.short] if sha in known]
        if one := _chosen(each, fitting):
            base = one.parents[0] if one.subject == SUBJECT else one.sha
            found[each] = Commit(one.sha, one.tree, base)
    return found


def keep_commits(git: Git, ref: str, commits: Sequence[Commit], token: str) -> None:
    """Add commits to a ref that keeps them from garbage collection."""
    tip = git.ref(ref)
    new = [each.sha for each in commits if not (tip and git.contains(each.sha, tip))]
    if new:
        base = commits[0].base
        committer = Committer(git, base, dict(listing(git, base)))
        committer.gather(ref, new, token)
        committer.close()


def _described(git: Git, shas: Sequence[str]) -> Mapping[str, _Known]:
    """Return the facts about those objects that are commits, by sha."""
    ask = ("cat-file", "--batch-check=%(objectname) %(objecttype)")
    listed = git.ask(*ask, text="".join(f"{sha}\n" for sha in shas).encode())
    commits = [line.split()[0] for line in listed.decode().splitlines() if line.endswith("commit")]
    if not commits:
        return {}
    form = "--format=%H%x09%P%x09%T%x09%ct%x09%s"
    log = ("log", "--no-walk=unsorted", form, "--stdin")
    output = git.ask(*log, text="".join(f"{sha}\n" for sha in commits).encode())
    found = {}
    for line in output.decode(errors="replace").splitlines():
        sha, parents, tree, time, subject = line.split("\t", 4)
        found[sha] = _Known(sha, tuple(parents.split()), tree, int(time), subject)
    return found


def _chosen(wanted: Wanted, known: Sequence[_Known]) -> _Known | None:
    """Return the commit that is meant, if one of them can be."""
    patches = [
        each
        for each in known
        if each.subject == SUBJECT
        and len(each.parents) == 1
        and each.parents[0].startswith(wanted.base)
    ]
    if not patches and wanted.base == wanted.short:  # a patch that changed nothing
        patches = [each for each in known if each.sha.startswith(wanted.base)]
    moment = wanted.when.timestamp()
    return min(patches, key=lambda each: abs(each.time - moment), default=None)
