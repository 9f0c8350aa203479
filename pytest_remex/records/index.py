"""Look up experiments in the launch records: whether they were submitted, and where they are."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

from pytest_remex.common.grouping import grouped
from pytest_remex.display import counted
from pytest_remex.model import Commit, Config, Identity, Remote
from pytest_remex.names import function_of
from pytest_remex.records.copies import Copies
from pytest_remex.records.launch import Launch
from pytest_remex.records.schema import MAY_HAVE_JOB, Renamed, RunRecord, Stage
from pytest_remex.records.store import LaunchRecord, merged, read_records
from pytest_remex.variant import GRID, Variant

_UPLOAD_ANY = "git -c uploadpack.allowAnySHA1InWant=true upload-pack"
_SHOWN = 3
"""The most commits that a message names."""
Key = TypeVar("Key")
_text = json.JSONEncoder(sort_keys=True).encode
"""Returns a point as text, for a key."""


class RecordedRun(NamedTuple):
    """A run, and the launch record that contains it."""

    record: LaunchRecord
    run: RunRecord

    @property
    def launch(self) -> Launch:
        """The run's launch."""
        return self.record.launch

    def belongs_to(self, sweep: str, node: str) -> bool:
        """Return whether the run belongs to a sweep: by its launch, or by its function's name.

        `node` is the node id of an experiment of that sweep.
        """
        if self.launch.name == sweep:
            return True
        known: tuple[RunRecord | Renamed, ...] = (self.run, *self.run.aliases)
        function = function_of(node)
        return any(each.sweep == sweep or function_of(each.node) == function for each in known)

    def counts(self, *, local: bool) -> bool:
        """Return whether it was, or was about to be, submitted: here if `local`, else remotely."""
        return self.is_here(local=local) and self.run.stage not in {Stage.REFUSED, Stage.REJECTED}

    def is_of(self, variant: Variant) -> bool:
        """Return whether a variant of the grid has it."""
        return variant == self.launch.variant or variant in self.run.variants

    def is_here(self, *, local: bool) -> bool:
        """Return whether it runs on this machine (`local`), or else on a cluster."""
        return (self.launch.remote.host is None) == local

    def reached_as(self, remote: Remote) -> RecordedRun:
        """Return the run, reached as a remote is if it is on the same host."""
        reached = self.launch.remote.reached_as(remote)
        record = self.record._replace(launch=self.launch._replace(remote=reached))
        return RecordedRun(record, self.run)


def reached_by(runs: Iterable[tuple[RecordedRun, Remote]]) -> list[RecordedRun]:
    """Return runs with the current remotes if these are the same places, to share a connection."""
    records: dict[tuple[Path, Remote], LaunchRecord] = {}
    found = []
    for recorded, remote in runs:
        record = recorded.record
        if record.launch.remote.is_same_place(remote):
            launch = record.launch._replace(remote=remote)
            record = records.setdefault((record.path, remote), record._replace(launch=launch))
        found.append(RecordedRun(record, recorded.run))
    return found


def own_config(launch: Launch, run: RunRecord) -> Config:
    """Return a run's config, without the parameters of what it comes after."""
    before = run.upstream.point if run.upstream else {}
    own = {name: value for name, value in run.point.items() if name not in before}
    return {**launch.base_config, **own}


class RunIndex:
    """Index the runs of all launch records by commit, fingerprint, node id and sweep.

    Each index is made when it is first needed: for many runs each takes memory.
    """

    def __init__(self, records: Iterable[LaunchRecord]) -> None:
        self.records = list(records)
        self.faults: list[str] = []
        """Why some records of the runs folder are ignored."""
        self.has_unusable = False
        """Whether some of them cannot be used: what they say is not known."""
        self._newest_first = [
            RecordedRun(record, run)
            for record in reversed(self.records)
            for run in record.runs.values()
        ]

    @classmethod
    def read(
        cls, folder: Path, remotes: Iterable[Remote] = (), has: Callable[[str], bool] = bool
    ) -> RunIndex:
        """Index the launch records in a folder, as `of` does. Raises `RecordError`."""
        return cls.of(read_records(folder), [Copies(folder, each) for each in remotes], has)

    @classmethod
    def of(
        cls, own: Iterable[LaunchRecord], copies: Iterable[Copies], has: Callable[[str], bool]
    ) -> RunIndex:
        """Index our own launch records, and copies of others'.

        Args:
            own: The output folder's own records.
            copies: For each remote, the copies of the records in its runs folder.
            has: Whether the repository has a commit; copies with an unknown base are ignored.

        Raises:
            RecordError: A copy has a newer format.

        """
        records: list[LaunchRecord] = list(own)
        faults: list[str] = []
        has_unusable = False
        for each in copies:
            copied, some = each.read()
            bases = dict.fromkeys(record.launch.base for record in copied)
            missing = [base for base in bases if not has(base)]
            ours = [record for record in copied if record.launch.base not in missing]
            records, faults = records + ours, faults + some
            has_unusable = has_unusable or bool(some)
            if others := len(copied) - len(ours):
                faults.append(_ignored(others, each.remote, missing))
        index = cls(merged(records))
        index.faults, index.has_unusable = faults, has_unusable
        return index

    def alike(self, commit: Commit, identity: Identity | None) -> Iterator[RecordedRun]:
        """Return the runs with the same fingerprint, or the same base and tree, newest first.

        They may belong to other sweeps.
        """
        if identity:
            yield from self._by_fingerprint.get(identity.fingerprint, [])
        if not (identity and identity.inputs):
            yield from self._by_identity.get(commit.identity, [])

    @property
    def is_empty(self) -> bool:
        """Whether there are no runs."""
        return not self._newest_first

    def of_directory(self, directory: str) -> RecordedRun | None:
        """Return the run of a run directory."""
        return self._by_directory.get(directory)

    def downstream_of(self, directory: str) -> list[RecordedRun]:
        """Return the runs that come after the run of a run directory."""
        return self._by_upstream.get(directory, [])

    def all_downstream_of(self, directory: str) -> list[RecordedRun]:
        """Return the runs that come after the run of a run directory, and those after them."""
        found: dict[str, RecordedRun] = {}
        left = [directory]
        while left:
            more = [
                each for each in self.downstream_of(left.pop()) if each.run.directory not in found
            ]
            found |= {each.run.directory: each for each in more}
            left += [each.run.directory for each in more]
        return list(found.values())

    def unended_after(self, directory: str) -> list[RecordedRun]:
        """Return those of these runs that may have a job which has not ended."""
        after = self.all_downstream_of(directory)
        return [each for each in after if not each.run.final and each.run.stage in MAY_HAVE_JOB]

    @cached_property
    def _by_directory(self) -> dict[str, RecordedRun]:
        return {each.run.directory: each for each in self.newest_first()}

    @cached_property
    def _by_upstream(self) -> dict[str, list[RecordedRun]]:
        runs = (each for each in self._newest_first if not each.run.is_void)
        return _grouped(runs, lambda e: e.run.upstream.directory if e.run.upstream else None)

    def of_launch(self, launch: str, token: str) -> LaunchRecord | None:
        """Return the record of a launch."""
        wanted = (launch, token)
        found = (each for each in self.records if (each.launch.id, each.launch.token) == wanted)
        return next(found, None)

    def of_point(
        self, sweep: str, point: Config, variant: Variant = GRID, *, local: bool
    ) -> Iterator[RecordedRun]:
        """Return the runs of a point that may have a job, in a variant, the newest first."""
        runs = self._by_sweep.get((sweep, _text(point)), [])
        here = (each for each in runs if each.is_of(variant) and each.counts(local=local))
        return (each for each in here if each.run.may_have_job)

    def at_point(
        self, point: Config, variant: Variant = GRID, *, local: bool
    ) -> Iterator[RecordedRun]:
        """Return the runs that `of_point` returns, of all sweeps."""
        here = (each for each in self._by_point.get(_text(point), []) if each.is_of(variant))
        return (each for each in here if each.counts(local=local) and each.run.may_have_job)

    def newest_first(self) -> Iterator[RecordedRun]:
        """Return all runs, newest launch first."""
        return iter(self._newest_first)

    def newest(
        self, node: str, point: Config, launch: str | None = None, variant: Variant = GRID
    ) -> RecordedRun | None:
        """Return the newest run of an experiment in a variant of the grid, or that in `launch`."""
        key = node, _text(point)
        runs = chain(self._by_node.get(key, []), self._by_alias.get(key, []))
        of_launch = (each for each in runs if launch in {None, each.launch.id})
        return next((each for each in of_launch if each.is_of(variant)), None)

    def of_sweep(self, sweep: str, point: Config, variant: Variant = GRID) -> Iterator[RecordedRun]:
        """Return a point's runs in a variant, newest first, whichever file its sweep was in."""
        runs = self._by_sweep.get((sweep, _text(point)), [])
        return (each for each in runs if each.is_of(variant))

    def _claimed(self) -> Iterator[RecordedRun]:
        """Return the runs without those that another launch or user has."""
        return (each for each in self._newest_first if not _is_another_clients(each))

    def _counted(self) -> Iterator[RecordedRun]:
        """Return the runs that are an experiment's."""
        return (each for each in self._claimed() if not each.run.is_void)

    @cached_property
    def _by_identity(self) -> dict[tuple[str, str], list[RecordedRun]]:
        runs = (each for each in self._claimed() if each.run.upstream is None)
        # with an upstream, base and tree do not identify a run
        return _grouped(runs, lambda each: each.run.commit.identity)

    @cached_property
    def _by_fingerprint(self) -> dict[str, list[RecordedRun]]:
        return _grouped(
            self._claimed(), lambda e: e.run.identity.fingerprint if e.run.identity else None
        )

    @cached_property
    def _by_node(self) -> dict[tuple[str, str], list[RecordedRun]]:
        return _grouped(self._counted(), _node_key)

    @cached_property
    def _by_alias(self) -> dict[tuple[str, str], list[RecordedRun]]:
        known = (
            RecordedRun(each.record, alias.apply(each.run))
            for each in self._counted()
            for alias in each.run.aliases
        )
        return _grouped(known, _node_key)

    @cached_property
    def _by_point(self) -> dict[str, list[RecordedRun]]:
        runs = (each for each in self._newest_first if not each.run.is_void)
        return _grouped(runs, lambda each: _text(each.run.point))

    @cached_property
    def _by_sweep(self) -> dict[tuple[str, str], list[RecordedRun]]:
        aliases = chain.from_iterable(self._by_alias.values())
        return _grouped(chain(self._counted(), aliases), _sweep_key)


def _grouped(
    runs: Iterable[RecordedRun], key_of: Callable[[RecordedRun], Key | None]
) -> dict[Key, list[RecordedRun]]:
    """Return runs by a key; those without one are left out."""
    return grouped((key, each) for each in runs if (key := key_of(each)) is not None)


def _is_another_clients(recorded: RecordedRun) -> bool:
    """Return whether another launch has the experiment, or another user was refused it.

    That user may have been refused because the experiment is ours.
    """
    run, owner = recorded.run, recorded.record.owner
    return bool(run.taken) or (bool(owner) and run.stage is Stage.REFUSED)


def _node_key(recorded: RecordedRun) -> tuple[str, str]:
    return recorded.run.node, _text(recorded.run.point)


def _sweep_key(recorded: RecordedRun) -> tuple[str, str]:
    return recorded.run.sweep or recorded.launch.name, _text(recorded.run.point)


def _ignored(records: int, remote: Remote, missing: Sequence[str]) -> str:
    """Say that records are ignored as their base commits are missing here, and how to get these."""
    clone = remote.clone if remote.host is None else f"{remote.host}:{remote.clone}"
    refs = [f"{base}:refs/remex/{base[:12]}" for base in missing[:_SHOWN]]
    fetch = shlex.join(["git", "fetch", f"--upload-pack={_UPLOAD_ANY}", clone, *refs])
    return (
        f"{counted(records, 'launch record')} in {remote.place} "
        f"{'was' if records == 1 else 'were'} ignored: this repository does not have the base "
        f"commit; what another repository submits belongs in another runs folder (remex_runs), "
        f"as experiments with equal inputs count as submitted; run git fetch to get commits that "
        f"others pushed (git fetch --unshallow in a shallow clone), or, if their branch was "
        f"deleted, get them from the clone: {fetch}"
    )
