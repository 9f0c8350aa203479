"""Recognize experiments in the launch records: their own runs, and runs on another base.

A run may be recorded under another name than the experiment has today.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from pytest_remex.collect.sync import RemoteCommits
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import JobState
from pytest_remex.common.records import Patched
from pytest_remex.errors import RepositoryError, SweepError
from pytest_remex.model import Repo
from pytest_remex.names import launch_stamp
from pytest_remex.records.added import replicate_of
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.schema import Stage
from pytest_remex.repo.git import Git
from pytest_remex.repo.identity import differing, read_input_tree
from pytest_remex.repo.inputs import Inputs
from pytest_remex.repo.trees import LINK, Edit, TreeEntry, patches_of
from pytest_remex.repo.workspace import Prepared


class EarlierRun(NamedTuple):
    """The run of an experiment's point on another base, and the inputs that have changed since."""

    recorded: RecordedRun
    changed: tuple[str, ...]
    """Empty if its commit no longer exists: there is nothing to compare with."""

    @property
    def completed(self) -> bool:
        """Whether its job is known to have completed."""
        return _has_completed(self.recorded)

    @property
    def failed(self) -> bool:
        """Whether its job is known to have failed."""
        final = self.recorded.run.final
        return final is not None and final.state.failed


class Recognizer:
    """Find the runs of experiments in launch records.

    Runs of another release, or of other rules about what an input is, are compared under today's
    rules if the repository has their commits. The runs of a sweep that is no longer there may
    be another's, which it was renamed to.

    Args:
        index: The runs of the launch records.
        git_of: Returns git in a repository.
        sweep_exists: Returns whether the sweep of a node id still exists.
        remote_commits: The commits that only remotes have.

    """

    def __init__(
        self,
        index: RunIndex,
        git_of: Callable[[Repo], Git],
        sweep_exists: Callable[[str], bool],
        remote_commits: RemoteCommits,
    ) -> None:
        self._index = index
        self._git_of = git_of
        self._sweep_exists = sweep_exists
        self._remote_commits = remote_commits
        self._missing_commits: set[str] = set()
        self._recomputed: dict[tuple[Git, Inputs], Mapping[str, Sequence[RecordedRun]]] = {}
        self._differing: dict[tuple[Git, str, str, Inputs], tuple[str, ...]] = {}

    def find(self, prepared: Prepared) -> RecordedRun | None:
        """Return the newest run of an experiment that was, or was to be, submitted."""
        alike = self._index.alike(prepared.commit, prepared.identity)
        recorded = self._first(
            prepared, (each for each in alike if each.counts(local=prepared.is_local))
        )
        if recorded is None:
            recorded = self._recompute(prepared)
        if recorded is not None and _is_lost(
            recorded, prepared.commit.sha, self._git_of(prepared.repo)
        ):
            return None
        return recorded

    def newest(self, prepared: Prepared) -> RecordedRun | None:
        """Return the newest run of an experiment, even if it was refused or rejected.

        One that was discarded may never have been claimed: it counts only if there is no other.
        """
        alike = self._index.alike(prepared.commit, prepared.identity)
        here = [each for each in alike if each.is_here(local=prepared.is_local)]
        last = sorted(here, key=lambda each: each.run.discarded)
        return self._first(prepared, last)

    def failed_before(self, recorded: RecordedRun, prepared: Prepared) -> RecordedRun | None:
        """Return the run that a retry was to follow, which a crash left without a claim.

        That is an older one that failed, or did not leave what came after it needed.
        """
        time = launch_stamp(recorded.launch.id)
        older = (
            each
            for each in self._index.alike(prepared.commit, prepared.identity)
            if launch_stamp(each.launch.id) < time
            and each.counts(local=recorded.is_here(local=True))
        )
        found = self._first(prepared, older)
        if found is None or found.run.final is None:
            return None
        return found if found.run.final.state.failed or self.is_incomplete(found) else None

    def is_incomplete(self, recorded: RecordedRun) -> bool:
        """Return whether what came after a run is known not to have found what it brings.

        If the run itself failed, its files say nothing: it may continue.
        """
        job, final = recorded.run.job, recorded.run.final
        if final is not None and final.state.failed:
            return False
        finals = [
            each.run.final
            for each in self._index.downstream_of(recorded.run.directory)
            if each.run.upstream and each.run.upstream.job == job
        ]
        return any(each and each.state is JobState.UPSTREAM_FAILED for each in finals)

    def find_elsewhere(self, prepared: Prepared) -> EarlierRun | None:
        """Return the run of an experiment's point on an older base with different inputs.

        A completed run comes first; otherwise it must be the point's newest run.
        """
        found: EarlierRun | None = None
        for recorded in self._runs_of_point(prepared):
            if recorded.run.parameters != prepared.parameters:
                continue
            changed = self._changed_in_chain(recorded, prepared)
            is_unknown = recorded.run.commit.sha in self._missing_commits
            if not changed and not is_unknown:
                if found is None:
                    return None
                continue
            earlier = EarlierRun(recorded, changed)
            if earlier.completed:
                return earlier
            found = found or earlier
        return found

    def _runs_of_point(self, prepared: Prepared) -> list[RecordedRun]:
        """Return the runs of an experiment's point that may have a job, the newest first.

        If its sweep has none, a sweep that no longer exists may have been renamed: its runs of the
        point count if their patches made the same files.
        """
        if self._index.is_empty:
            return []
        sweep, point = prepared.experiment.sweep.name, prepared.experiment.point
        local = prepared.is_local
        runs = list(self._index.of_point(sweep, point, prepared.variant, local=local))
        made = prepared.identity.changed
        if runs or not made:
            return runs
        return [
            each
            for each in self._index.at_point(point, prepared.variant, local=local)
            if each.run.identity is not None
            and each.run.identity.changed == made
            and not any(map(self._sweep_exists, _nodes_of(each)))
        ]

    def _changed_in_chain(self, recorded: RecordedRun, prepared: Prepared) -> tuple[str, ...]:
        """Return the inputs that differ from a run's base, and from those of what it came after."""
        changed = self._changed_since(recorded.launch.base, prepared)
        if prepared.upstream is None:
            return changed
        after = recorded.run.upstream
        upstream = self._index.of_directory(after.directory) if after else None
        before = self._changed_in_chain(upstream or recorded, prepared.upstream)
        return tuple(dict.fromkeys((*before, *changed)))

    def _changed_since(self, base: str, prepared: Prepared) -> tuple[str, ...]:
        """Return the inputs that differ from a base; none if the repository does not have it."""
        repository = self._git_of(prepared.repo)
        key = repository, base, prepared.commit.base, prepared.inputs
        if key not in self._differing:
            try:
                changed = differing(repository, base, prepared.commit.base, prepared.inputs)
            except RepositoryError:
                changed = ()
            self._differing[key] = changed
        return self._differing[key]

    def _recompute(self, prepared: Prepared) -> RecordedRun | None:
        repository = self._git_of(prepared.repo)
        key = repository, prepared.inputs
        if key not in self._recomputed:
            self._recomputed[key] = self._fingerprints(repository, prepared.inputs)
        own = prepared.identity.inputs
        alike = (
            each
            for each in self._recomputed[key].get(own or prepared.identity.fingerprint, ())
            if each.counts(local=prepared.is_local) and self._comes_after_same(each, prepared)
        )
        return self._first(prepared, alike)

    def _first(self, prepared: Prepared, runs: Iterable[RecordedRun]) -> RecordedRun | None:
        """Return the first run of an experiment's sweep, or else of a sweep that no longer exists.

        An existing sweep keeps its runs, even if another has a point with equal inputs.
        """
        handed_on: RecordedRun | None = None
        for each in runs:
            if _is_other_replicate(each, prepared) or _is_elsewhere(each, prepared):
                continue
            if each.belongs_to(prepared.experiment.sweep.name, prepared.node):
                return each
            if handed_on is None and not any(map(self._sweep_exists, _nodes_of(each))):
                handed_on = each
        return handed_on

    def _comes_after_same(self, recorded: RecordedRun, prepared: Prepared) -> bool:
        """Return whether a run came after the upstream of an experiment, and brought the same."""
        before = recorded.run.upstream
        if before is None or prepared.upstream is None:
            return before is None and prepared.upstream is None
        upstream = self.find(prepared.upstream)
        return (
            before.brought == prepared.brought
            and upstream is not None
            and upstream.run.directory == before.directory
        )

    def _fingerprints(self, repository: Git, inputs: Inputs) -> dict[str, list[RecordedRun]]:
        """Return the runs recorded with other rules, by their fingerprints under these rules."""
        by_base = grouped(
            (recorded.launch.base, recorded)
            for recorded in self._index.newest_first()
            if (identity := recorded.run.identity) is None or identity.patterns != inputs.digest
        )
        found: dict[str, list[RecordedRun]] = {}
        for base, runs in by_base.items():
            if not repository.has(base):
                continue
            tree = read_input_tree(repository, base, inputs)
            for recorded, patch in self._patches(repository, base, runs, inputs):
                with suppress(SweepError):  # a script that sbatch would refuse: no experiment's
                    found.setdefault(tree.fingerprint(patch), []).append(recorded)
        return found

    def _patches(
        self, repository: Git, base: str, runs: Sequence[RecordedRun], inputs: Inputs
    ) -> Iterator[tuple[RecordedRun, Sequence[Edit | TreeEntry]]]:
        """Yield the runs on a base whose patches are found, each with its patch."""
        commits = [each.run.commit for each in runs]
        patches = patches_of(repository, base, commits, inputs.script)
        absent = [e for e in runs if e.run.identity is None and e.run.commit.sha not in patches]
        patches |= self._remote_patches(base, absent, inputs)
        self._missing_commits.update({each.run.commit.sha for each in absent} - patches.keys())
        for each in runs:
            patch: Sequence[Edit | TreeEntry] | None = patches.get(each.run.commit.sha)
            identity = each.run.identity
            if identity is not None and (patch is None or each.run.recipe):
                patch = [_tree_entry(entry) for entry in identity.changed]
            if patch is not None:
                yield each, patch

    def _remote_patches(
        self, base: str, runs: Sequence[RecordedRun], inputs: Inputs
    ) -> dict[str, list[Edit | TreeEntry]]:
        """Return the patches of commits that only remotes have, as far as these do."""
        remotes = grouped((each.launch.remote, each.run.commit) for each in runs)
        script = os.fsdecode(inputs.script)
        found: dict[str, list[Edit | TreeEntry]] = {}
        for remote, commits in remotes.items():
            for sha, patched in self._remote_commits.patches(remote, base, commits, script).items():
                found[sha] = [_change(entry, script, patched) for entry in patched.changed]
        return found


def experiment_key(prepared: Prepared) -> object:
    """Return a key that is equal for experiments that can share a run."""
    identity, sweep = prepared.identity, prepared.experiment.sweep.name
    return sweep, identity.fingerprint, identity.replicate, prepared.remote


def _nodes_of(recorded: RecordedRun) -> list[str]:
    """Return all node ids that a run has had."""
    return [recorded.run.node, *(alias.node for alias in recorded.run.aliases)]


def _tree_entry(entry: Sequence[str]) -> TreeEntry:
    path, mode, blob = entry
    return TreeEntry(os.fsencode(path), mode, blob)


def _change(entry: Sequence[str], script: str, patched: Patched) -> Edit | TreeEntry:
    path, mode, _ = entry
    if path != script or patched.script is None or mode == LINK:
        return _tree_entry(entry)
    return Edit(os.fsencode(path), mode, patched.script.encode("utf-8", "surrogateescape"))


def _is_other_replicate(recorded: RecordedRun, prepared: Prepared) -> bool:
    number = replicate_of(recorded.run, prepared.experiment.sweep)
    return number != prepared.experiment.replicate


def _is_elsewhere(recorded: RecordedRun, prepared: Prepared) -> bool:
    """Return whether a run belongs to another of the remotes on which the grid runs.

    Remotes with the same runs folder are the same, whatever their names.
    """
    names = {each.remote for each in (recorded.launch.variant, *recorded.run.variants)}
    is_same = not prepared.pinned or recorded.run.parameters == prepared.parameters
    if prepared.variant.remote in names and is_same:
        return False
    there, wanted = recorded.launch.remote, prepared.remote
    return (there.host, there.runs) != (wanted.host, wanted.runs)


def _has_completed(recorded: RecordedRun) -> bool:
    final = recorded.run.final
    return final is not None and final.state is JobState.COMPLETED


def _is_lost(recorded: RecordedRun, sha: str, repository: Git) -> bool:
    """Return whether a run was probably never made, and the repository lacks its commit."""
    run = recorded.run
    begun = {Stage.COMMITTED} if recorded.record.own else {Stage.COMMITTED, Stage.PUSHED}
    return run.stage in begun and run.commit.sha != sha and not repository.has(run.commit.sha)
