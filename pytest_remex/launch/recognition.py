"""Recognize experiments in the launch records: their own runs, and runs on another base.

For a run on another base, a message says which inputs have changed since, and what to do.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_remex.common.jobs import JobState
from pytest_remex.errors import RepositoryError, SweepError
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.schema import Stage
from pytest_remex.repo.git import Git
from pytest_remex.repo.identity import differing, read_input_tree
from pytest_remex.repo.inputs import Inputs
from pytest_remex.repo.trees import Edit, TreeEntry, patches_of
from pytest_remex.repo.workspace import Prepared

SHOWN = 5
"""The most changed files that a message names."""


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """The run of an experiment's point on another base, and the inputs that have changed since."""

    recorded: RecordedRun
    changed: tuple[str, ...]

    @property
    def completed(self) -> bool:
        """Whether its job is known to have completed."""
        return _has_completed(self.recorded)


class Recognizer:
    """Find the runs of experiments in launch records.

    Runs of another release, or with other rules for inputs, are compared by the current rules if
    the repository has their commits. The runs of a sweep that no longer exists may belong to the
    sweep that it was renamed to: `is_there` says whether the sweep of a node id exists.
    """

    def __init__(self, index: RunIndex, is_there: Callable[[str], bool]) -> None:
        self._index = index
        self._is_there = is_there
        self._recomputed: dict[tuple[Git, Inputs], Mapping[str, Sequence[RecordedRun]]] = {}
        self._differing: dict[tuple[Git, str, str, Inputs], tuple[str, ...]] = {}

    def find(self, prepared: Prepared, repository: Git, *, local: bool) -> RecordedRun | None:
        """Return the newest run of an experiment that was, or was to be, submitted.

        Runs on this machine do not count for a cluster, or vice versa.
        """
        alike = self._index.alike(prepared.commit, prepared.identity)
        recorded = self._first(prepared, (each for each in alike if each.counts(local=local)))
        if recorded is None:
            recorded = self._recompute(prepared, repository, local=local)
        if recorded is not None and _is_lost(recorded, prepared.commit.sha, repository):
            return None
        return recorded

    def newest(self, prepared: Prepared, *, local: bool) -> RecordedRun | None:
        """Return the newest run of an experiment, even if it was refused or rejected."""
        alike = self._index.alike(prepared.commit, prepared.identity)
        return self._first(prepared, (each for each in alike if each.is_here(local=local)))

    def find_elsewhere(
        self, prepared: Prepared, repository: Git, *, local: bool
    ) -> EarlierRun | None:
        """Return the run of an experiment's point on an older base with different inputs.

        A completed run comes first; otherwise it must be the point's newest run.
        """
        sweep, point = prepared.experiment.sweep.name, prepared.experiment.point
        found: EarlierRun | None = None
        for recorded in self._index.of_point(sweep, point, local=local):
            if recorded.run.parameters != prepared.parameters:
                continue
            changed = self._changed_since(recorded.launch.base, prepared, repository)
            if not changed:
                if found is None:
                    return None
                continue
            earlier = EarlierRun(recorded, changed)
            if earlier.completed:
                return earlier
            found = found or earlier
        return found

    def _changed_since(self, base: str, prepared: Prepared, repository: Git) -> tuple[str, ...]:
        """Return the inputs that differ from a base; none if the repository does not have it."""
        key = repository, base, prepared.commit.base, prepared.inputs
        if key not in self._differing:
            try:
                changed = differing(repository, base, prepared.commit.base, prepared.inputs)
            except RepositoryError:
                changed = ()
            self._differing[key] = changed
        return self._differing[key]

    def _recompute(self, prepared: Prepared, repository: Git, *, local: bool) -> RecordedRun | None:
        key = repository, prepared.inputs
        if key not in self._recomputed:
            self._recomputed[key] = self._fingerprints(repository, prepared.inputs)
        alike = self._recomputed[key].get(prepared.identity.fingerprint, ())
        return self._first(prepared, (each for each in alike if each.counts(local=local)))

    def _first(self, prepared: Prepared, runs: Iterable[RecordedRun]) -> RecordedRun | None:
        """Return the first run of an experiment's sweep, or else of a sweep that no longer exists.

        An existing sweep keeps its runs, even if another has a point with equal inputs.
        """
        handed_on: RecordedRun | None = None
        for each in runs:
            if each.belongs_to(prepared.experiment.sweep.name, prepared.node):
                return each
            nodes = [each.run.node, *(alias.node for alias in each.run.aliases)]
            if handed_on is None and not any(map(self._is_there, nodes)):
                handed_on = each
        return handed_on

    def _fingerprints(self, repository: Git, inputs: Inputs) -> dict[str, list[RecordedRun]]:
        """Return the runs recorded with other rules, by their fingerprints under these rules."""
        by_base: dict[str, list[RecordedRun]] = {}
        for recorded in self._index.newest_first():
            identity = recorded.run.identity
            if identity is None or identity.patterns != inputs.digest:
                by_base.setdefault(recorded.launch.base, []).append(recorded)
        found: dict[str, list[RecordedRun]] = {}
        for base, runs in by_base.items():
            if not repository.has(base):
                continue
            for recorded, fingerprint in _recompute(repository, base, runs, inputs):
                found.setdefault(fingerprint, []).append(recorded)
        return found


def _recompute(
    repository: Git, base: str, runs: Sequence[RecordedRun], inputs: Inputs
) -> Iterator[tuple[RecordedRun, str]]:
    """Yield the runs on a base whose patches are known, each with its fingerprint."""
    tree = read_input_tree(repository, base, inputs)
    commits = [each.run.commit for each in runs]
    patches = patches_of(repository, base, commits, inputs.script)
    for each in runs:
        identity = each.run.identity
        patch: Sequence[Edit | TreeEntry] | None = patches.get(each.run.commit.sha)
        if identity is not None and (patch is None or each.run.recipe):
            changed = identity.changed
            patch = [TreeEntry(os.fsencode(path), mode, blob) for path, mode, blob in changed]
        if patch is None:
            continue
        try:
            yield each, tree.fingerprint(patch)
        except SweepError:  # a script that would be refused now: no experiment has it
            continue


def _has_completed(recorded: RecordedRun) -> bool:
    final = recorded.run.final
    return final is not None and final.state is JobState.COMPLETED


def _is_lost(recorded: RecordedRun, sha: str, repository: Git) -> bool:
    """Return whether a run was probably never made, and the repository lacks its commit."""
    run = recorded.run
    begun = {Stage.COMMITTED} if recorded.record.own else {Stage.COMMITTED, Stage.PUSHED}
    return run.stage in begun and run.commit.sha != sha and not repository.has(run.commit.sha)


def moved_bases(
    held: Iterable[tuple[Prepared, EarlierRun]], selected: Iterable[Prepared]
) -> list[str]:
    """Return a message for each sweep and base.

    Args:
        held: The experiments that are not submitted, with their points' runs.
        selected: All experiments of the command.
    """
    totals = Counter(each.experiment.sweep.name for each in selected)
    groups: dict[tuple[str, str], list[tuple[Prepared, EarlierRun]]] = {}
    for prepared, earlier in held:
        key = prepared.experiment.sweep.name, earlier.recorded.launch.base
        groups.setdefault(key, []).append((prepared, earlier))
    return [_message(totals[sweep], base, group) for (sweep, base), group in groups.items()]


def _message(total: int, base: str, group: Sequence[tuple[Prepared, EarlierRun]]) -> str:
    prepared, earlier = group[0]
    short, today = base[:7], prepared.commit.base[:7]
    those = "it" if len(group) == 1 else "them"
    return (
        f"{_counts(group, total)} on base {short}; since then changed: {_some(earlier.changed)}\n"
        f'not sent: --remex-new-base sends {those} on {today}; branch="{short}" in '
        f"@sweep(...) stays with that base; and if no job reads what changed, name it in the ini "
        f"key remex_control"
    )


def _counts(group: Sequence[tuple[Prepared, EarlierRun]], total: int) -> str:
    completed = sum(earlier.completed for _, earlier in group)
    others = len(group) - completed
    if not others:
        return f"{completed} of these {total} completed"
    if not completed:
        return f"{others} of these {total} {'was' if others == 1 else 'were'} submitted"
    more = f"{others} more {'was' if others == 1 else 'were'} submitted"
    return f"{completed} of these {total} completed, and {more},"


def _some(paths: Sequence[str]) -> str:
    shown = [path if path.isprintable() else ascii(path) for path in paths[:SHOWN]]
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(shown) + more
