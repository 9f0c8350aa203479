"""Prepare experiments: a repository at one base commit, its checkout, and its new commits."""

from __future__ import annotations

import difflib
import os
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from sys import intern

from pytest_remex import names, temporary
from pytest_remex.common.paths import unplaceable
from pytest_remex.errors import RepositoryError, SweepError
from pytest_remex.experiment import Experiment, full_name, staged_fingerprint
from pytest_remex.model import Commit, Config, Identity, Remote, Repo
from pytest_remex.repo.commits import Committer, Patch, refuse_locked_refs
from pytest_remex.repo.git import BRANCH, Git
from pytest_remex.repo.identity import Footprint, InputTree
from pytest_remex.repo.inputs import InputRules, Inputs, unfaithful
from pytest_remex.repo.scratch import Scratch
from pytest_remex.repo.trees import Edit, listing
from pytest_remex.sbatch.script import Header, parse_header
from pytest_remex.variant import GRID, Variant

NO_PATHS: frozenset[str] = frozenset()
"""One object for all experiments."""


@dataclass(frozen=True, slots=True)
class Named:
    """An experiment with its node ID, and the parameters that stacked `parametrize` marks add."""

    node: str
    experiment: Experiment
    parameters: Config
    repo: Repo
    remote: Remote
    """Where it will run."""
    upstream: Prepared | None = None
    """The experiment that it comes after; None if that is not known, or there is none."""
    chosen: bool = True
    """Whether the user selected it: else it is there for what comes after it."""
    variant: Variant = GRID
    """The variant of the grid that it is prepared for."""
    pinned: bool = False
    """Whether its grid runs in several places, and a run in another one is not its own."""

    @property
    def key(self) -> tuple[Variant, str]:
        """Its key among all experiments of a command."""
        return self.variant, self.node

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine: runs on a cluster do not count for it, or vice versa."""
        return self.remote.host is None

    @property
    def brought(self) -> Mapping[str, str]:
        """The files that it brings: paths in its run directory, and the paths in its upstream's."""
        before = self.experiment.comes_after
        return before.brought if before else {}

    @property
    def copied(self) -> AbstractSet[str]:
        """Those of the paths in its run directory that are copies."""
        before = self.experiment.comes_after
        return before.copied if before else NO_PATHS


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared(Named):
    """An experiment that was patched and committed; `diff` is empty if it is not shown."""

    commit: Commit
    header: Header
    inputs: Inputs
    identity: Identity
    footprint: Footprint
    diff: str
    ignored: Sequence[str] = ()
    leaving: Sequence[tuple[str, str]] = ()
    special: Sequence[str] = ()
    no_folder: str = ""
    """A folder for the job's output that its run directory will not have."""
    sbatch: tuple[str, ...] = ()
    """Options for sbatch that override the script's header; `header` is the result."""
    recipe: int = 0
    """The number of the recipe that made it; `identity` is by the first recipe."""


class Workspace:
    """A repository at one base commit.

    `kept` says whether to keep the commits made in it, `shows` whether to show the next diff.
    """

    def __init__(
        self,
        repository: Git,
        base: str,
        branch: str,
        *,
        kept: bool,
        shows: Callable[[], bool] = bool,
    ) -> None:
        files = dict(listing(repository, base))
        repository.refuse_unsupported(base, files)
        if kept:
            refuse_locked_refs(repository)
        self.git = repository
        self.base = base
        self.branch = branch
        self.scratch = Scratch(repository, base, files)
        self._objects = (
            None if kept else tempfile.TemporaryDirectory(prefix=temporary.prefix("objects"))
        )
        quarantine = Path(self._objects.name) if self._objects else None
        self.committer = Committer(repository, base, files, quarantine)
        self._shows = shows
        self._headers: dict[tuple[str, bytes], Header] = {}
        self._input_trees: dict[Inputs, InputTree] = {}
        self._nodes: dict[object, str] = {}
        self._short: set[str] = set()

    def prepare(self, named: Named, header: Header, patch: Patch, inputs: Inputs) -> Prepared:
        """Commit a patch that was made in the checkout.

        Raises:
            SweepError: It changes a file that is not an input, or has the same inputs as another
                experiment.
            RepositoryError: The repository is a shallow clone.

        """
        self.git.refuse_shallow()
        experiment = named.experiment
        for edit in patch.edits:
            if edit.content is not None and (why := unplaceable(edit.path)):
                raise SweepError(
                    f"{full_name(experiment)}: the patch makes {os.fsdecode(edit.path)!r}, but "
                    f"{why}: use another path, or remove it in the patch"
                )
        inputs.refuse(patch.edits, full_name(experiment), self._differs)
        if named.brought:
            made = {edit.path for edit in patch.edits if edit.content is not None}
            _refuse_brought(named, made | {*self.scratch.files})
        tree = self.input_tree(inputs)
        identity = _after(_identity(tree, inputs, patch, experiment.replicate - 1), named)
        self._refuse_equal_inputs(named, identity)
        return Prepared(
            **{each.name: getattr(named, each.name) for each in fields(Named)},
            commit=self.committer.commit(experiment, patch.edits),
            header=header,
            inputs=inputs,
            identity=identity,
            footprint=tree.footprint(patch.edits, named.remote.shared),
            diff=self.diff(patch.edits) if self._shows() else "",
            ignored=patch.ignored,
            leaving=patch.leaving,
            special=patch.special,
        )

    def _differs(self, edit: Edit) -> bool:
        known = edit.path in self.scratch.files
        return not known or edit.content != self.scratch.original(edit.path)

    def _refuse_equal_inputs(self, named: Named, identity: Identity) -> None:
        experiment = named.experiment
        place = named.remote if named.pinned else None
        key = experiment.sweep.name, identity.fingerprint, identity.replicate, place
        first = self._nodes.setdefault(key, named.node)
        if first != named.node:
            raise SweepError(
                f"{full_name(experiment)} makes the same files as {first}: the parameter in "
                f"which they differ has no effect. Check that the patch uses it, or drop it from "
                f"the sweep (#SBATCH options that only say when and where a job runs, such as "
                f"--time, do not count)"
            )

    def header(self, script: str) -> Header:
        """Return the header of the script as it now is in the checkout."""
        text = self.scratch.read(script)
        if text is None:
            there = self.git.attempt("cat-file", "-e", f"{self.base}:{script}")[0] == 0
            mine = not there and (Path(self.git.top) / script).is_file()
            named = b"/" + os.fsencode(script)
            others = [path for path in self.scratch.files if path.endswith(named)]
            fix = "commit one"
            if mine:
                fix = f"commit yours: git add {shlex.quote(script)} && git commit"
            elif others:
                fix += f", or write script={os.fsdecode(others[0])!r} in the @sweep"
            raise RepositoryError(
                f"no {script} in {self.git.top} at {self.branch} ({self.base[:12]}): {fix}; it is "
                f"the script that sbatch runs in each run directory"
            )
        key = script, text
        if key not in self._headers:
            self._headers[key] = parse_header(text, script)
        return self._headers[key]

    def refuse_long_name(self, sweep: str) -> None:
        """Raise `SweepError` if the names of a sweep's run directories would be too long."""
        if sweep not in self._short:
            launch = names.launch_id(sweep, datetime.now().astimezone())
            names.run_directory(self.branch, launch, self.base)
            self._short.add(sweep)

    def input_tree(self, inputs: Inputs) -> InputTree:
        """Return the inputs in the base, for the fingerprints of a sweep's experiments."""
        if inputs not in self._input_trees:
            inputs.refuse_unfaithful(self._unfaithful, self.git.top)
            there = inputs.script in self.scratch.files
            script = self.scratch.original(inputs.script) if there else None
            tree = InputTree(self.base, self.scratch.files, inputs, script)
            self._input_trees[inputs] = tree
        return self._input_trees[inputs]

    @cached_property
    def _unfaithful(self) -> dict[bytes, str]:
        return unfaithful(self.git, self.base, self.scratch.files)

    def close(self) -> None:
        """Remove the checkout; commits that are not kept go with it."""
        try:
            self.committer.close()
        finally:
            self.scratch.close()
            if self._objects:
                self._objects.cleanup()

    def diff(self, edits: Sequence[Edit]) -> str:
        """Return a patch as text."""
        return "".join(_diff(edit, self.scratch.original(edit.path)) for edit in edits)


class Workspaces:
    """The workspaces of a pytest run, opened when they are first needed: see `Workspace`."""

    def __init__(self, *, kept: bool, shows: Callable[[], bool] = bool) -> None:
        self._kept = kept
        self._shows = shows
        self._git: dict[Repo, Git] = {}
        self._bases: dict[tuple[Repo, str], str] = {}
        self._named: dict[tuple[Repo, str], Workspace] = {}
        self._inputs: dict[tuple[Repo, InputRules], Inputs] = {}
        self._open: dict[tuple[Repo, str], Workspace] = {}
        self._refused: dict[tuple[Repo, str], str] = {}

    def git(self, repo: Repo) -> Git:
        """Return git in a repository."""
        if repo not in self._git:
            self._git[repo] = Git(repo.path)
        return self._git[repo]

    def inputs(self, repo: Repo, rules: InputRules) -> Inputs:
        """Return which files are inputs by a sweep's rules. Raises `SweepError`."""
        key = repo, rules
        if key not in self._inputs:
            self._inputs[key] = rules.inputs(self.git(repo).top)
        return self._inputs[key]

    def at(self, repo: Repo, revision: str) -> Workspace:
        """Return the workspace at a commit-ish of a repository."""
        name = repo, revision
        if name not in self._named:
            self._named[name] = self._opened(repo, revision)
        return self._named[name]

    def base(self, repo: Repo, revision: str, given_by: str = BRANCH) -> str:
        """Return the sha of a commit-ish; `given_by` is what to correct if it is unknown.

        Raises `RepositoryError`.
        """
        name = repo, revision
        if name not in self._bases:
            self._bases[name] = self.git(repo).resolve(revision, given_by)
        return self._bases[name]

    def _opened(self, repo: Repo, revision: str) -> Workspace:
        repository, base = self.git(repo), self.base(repo, revision)
        if (repo, base) in self._refused:
            raise RepositoryError(self._refused[repo, base])
        if (repo, base) not in self._open:
            branch = repository.branch(revision)
            try:
                self._open[repo, base] = Workspace(
                    repository, base, branch, kept=self._kept, shows=self._shows
                )
            except RepositoryError as error:
                self._refused[repo, base] = str(error)  # not found again for each experiment
                raise
        return self._open[repo, base]

    def forget(self, prepared: Prepared) -> None:
        """Forget the commit of an experiment that is not submitted."""
        for workspace in self._open.values():
            if workspace.base == prepared.commit.base:
                workspace.committer.forget(prepared.commit.sha)

    def close(self) -> None:
        """Close all workspaces."""
        self._named.clear()
        while self._open:
            self._open.popitem()[1].close()


def _identity(tree: InputTree, inputs: Inputs, patch: Patch, replicate: int) -> Identity:
    entries = tree.entries(patch.edits)
    return Identity(
        fingerprint=tree.fingerprint(entries),
        patterns=inputs.digest,
        changed=tuple((intern(os.fsdecode(each.path)), each.mode, each.sha) for each in entries),
        replicate=replicate,
    )


def _after(identity: Identity, named: Named) -> Identity:
    """Return the identity of an experiment, which is also that of the one that it comes after."""
    if named.experiment.comes_after is None:
        return identity
    before = named.upstream.identity.fingerprint if named.upstream else ""
    both = staged_fingerprint(identity.fingerprint, before, named.brought)
    return identity._replace(fingerprint=both, inputs=identity.fingerprint)


def _refuse_brought(named: Named, files: set[bytes]) -> None:
    """Refuse to bring what is in the way of a file in the run directory, or the other way round."""
    for target in named.brought:
        path = os.fsencode(target)
        above = {path[:place] for place, byte in enumerate(path) if byte == ord("/")}
        if path in files or above & files or any(each.startswith(path + b"/") for each in files):
            raise SweepError(
                f"{full_name(named.experiment)}: bring: {target!r} is in the way of a file "
                f"of the run directory: name another one"
            )


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
