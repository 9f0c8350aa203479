"""Where experiments are prepared: a repository at one base commit, its checkout, its commits."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_remex.errors import RepositoryError, SweepError
from pytest_remex.model import Commit, Config, Experiment, Repo
from pytest_remex.repo.commits import Committer
from pytest_remex.repo.git import Git
from pytest_remex.repo.patch import Edit, Patch
from pytest_remex.repo.scratch import Scratch
from pytest_remex.sbatch import Header, parse_header
from pytest_remex.sbatch_options import SCRIPT


@dataclass(frozen=True, slots=True)
class Prepared:
    """An experiment that was patched and committed here; `diff` is empty where it is to be sent."""

    node: str
    experiment: Experiment
    parameters: Config
    commit: Commit
    header: Header
    diff: str
    ignored: Sequence[str] = ()
    leaving: Sequence[tuple[str, str]] = ()


class Workspace:
    """A repository at one base commit. `kept` says whether its commits are to stay."""

    def __init__(self, repository: Git, base: str, branch: str, *, kept: bool) -> None:
        repository.refuse_unsupported(base)
        self.git = repository
        self.base = base
        self.branch = branch
        self.scratch = Scratch(repository, base)
        self._objects = None if kept else tempfile.TemporaryDirectory(prefix="remex-objects-")
        quarantine = Path(self._objects.name) if self._objects else None
        self.committer = Committer(repository, base, quarantine)
        self._headers: dict[bytes, Header] = {}
        self._trees: dict[tuple[str, str], str] = {}

    def prepare(
        self, node: str, experiment: Experiment, parameters: Config, header: Header, patch: Patch
    ) -> Prepared:
        """Commit a patch that was made in the checkout."""
        if any(edit.path.startswith(b".remex/") for edit in patch.edits):
            raise SweepError(
                f"{experiment.id}: the patch writes into .remex/, which is pytest-remex's own "
                f"folder in a run directory: write elsewhere"
            )
        commit = self.committer.commit(experiment, patch.edits)
        self._refuse_equal_trees(node, experiment, commit)
        # Commits that are kept are sent, and who sends shows no diffs.
        diff = self.diff(patch.edits) if self._objects else ""
        told = patch.ignored, patch.leaving
        return Prepared(node, experiment, parameters, commit, header, diff, *told)

    def _refuse_equal_trees(self, node: str, experiment: Experiment, commit: Commit) -> None:
        first = self._trees.setdefault((experiment.sweep.name, commit.tree), node)
        if first != node:
            raise SweepError(
                f"{experiment.id} makes the same files as {first}: the parameter that tells them "
                f"apart has no effect; see that the patch uses it, or drop it from the sweep"
            )

    def header(self) -> Header:
        """Read the header of the run.sbatch that stands in the checkout now."""
        text = self.scratch.read(SCRIPT)
        if text is None:
            raise RepositoryError(
                f"no {SCRIPT} in {self.git.top} at {self.branch} ({self.base[:12]}): commit one; "
                f"it is the script that sbatch runs in each run directory"
            )
        if text not in self._headers:
            self._headers[text] = parse_header(text)
        return self._headers[text]

    def close(self) -> None:
        """Remove the checkout; commits that are not kept go with it."""
        try:
            self.committer.close()
        finally:
            self.scratch.close()
            if self._objects:
                self._objects.cleanup()

    def diff(self, edits: Sequence[Edit]) -> str:
        """Give a patch as text."""
        return "".join(_diff(edit, self.scratch.original(edit.path)) for edit in edits)


class Workspaces:
    """The workspaces of a pytest run, opened when they are first needed."""

    def __init__(self, *, kept: bool) -> None:
        self._kept = kept
        self._git: dict[Repo, Git] = {}
        self._named: dict[tuple[Repo, str], Workspace] = {}
        self._open: dict[tuple[Repo, str], Workspace] = {}
        self._sizes: dict[tuple[Repo, str, tuple[str, ...]], int] = {}

    def git(self, repo: Repo) -> Git:
        """Give the door to a repository."""
        if repo not in self._git:
            self._git[repo] = Git(repo.path)
        return self._git[repo]

    def at(self, repo: Repo, revision: str) -> Workspace:
        """Give the workspace at a commit-ish of a repository."""
        name = repo, revision
        if name not in self._named:
            self._named[name] = self._opened(repo, revision)
        return self._named[name]

    def _opened(self, repo: Repo, revision: str) -> Workspace:
        repository = self.git(repo)
        base = repository.resolve(revision)
        if (repo, base) not in self._open:
            branch = repository.branch(revision)
            self._open[repo, base] = Workspace(repository, base, branch, kept=self._kept)
        return self._open[repo, base]

    def size(self, repo: Repo, base: str, shared: Sequence[str]) -> int:
        """Give the bytes that a run directory takes, without what runs share."""
        key = (repo, base, tuple(shared))
        if key not in self._sizes:
            self._sizes[key] = self.at(repo, base).scratch.size(shared)
        return self._sizes[key]

    def close(self) -> None:
        """Close them all."""
        self._named.clear()
        while self._open:
            self._open.popitem()[1].close()


def _diff(edit: Edit, original: bytes) -> str:
    path = os.fsdecode(edit.path)
    before, after = (_lines(text) for text in (original, edit.content or b""))
    if before is None or after is None:
        return f"--- {path}\n+++ {path}\nbinary files differ\n"
    diff = difflib.unified_diff(before, after, path, path, n=0)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in diff)


def _lines(text: bytes) -> list[str] | None:
    if b"\0" in text[:8000]:
        return None
    return text.decode("utf-8", "replace").splitlines(keepends=True)
