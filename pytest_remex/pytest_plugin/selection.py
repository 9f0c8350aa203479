"""The runs of the selected experiments, as the launch records know them, and their states."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import pytest

from pytest_remex.collect.query import Pace, QueryOptions, poll
from pytest_remex.collect.sync import may_hold_records, sync
from pytest_remex.common.grouping import grouped
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.display import Progress, counted, show_nothing
from pytest_remex.errors import RecordError, RemexError
from pytest_remex.hooks import GuardedHooks
from pytest_remex.model import REPLICATE, Config, Remote, Repo, Sweep
from pytest_remex.names import function_of, point_id, with_full_id
from pytest_remex.pytest_plugin.fixtures import by_place, place_key
from pytest_remex.pytest_plugin.item_outcomes import say, skip
from pytest_remex.pytest_plugin.items import (
    base_option,
    parameters_of,
    point_of,
    sweep_for,
    variant_of,
)
from pytest_remex.pytest_plugin.mode import ModeContext
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.project import node_of, project_folders
from pytest_remex.pytest_plugin.replicates import NOT_HERE, add_recorded
from pytest_remex.pytest_plugin.stages import skip_after_left_out
from pytest_remex.records.added import added_to, replicate_of
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.sweep_file import SweepFiles
from pytest_remex.variant import Variant


@dataclass(frozen=True, slots=True)
class KnownThere:
    """What is known of the runs on a remote; `unread` is why its runs folder was not read."""

    index: RunIndex
    unread: RemexError | None


@dataclass(frozen=True, slots=True)
class FoundRuns:
    """The items on a remote and their newest runs, by node id, and all runs that are known there.

    Among the items are added replicates that only the runs folder knew of.
    """

    items: Mapping[str, pytest.Function]
    runs: Mapping[str, RecordedRun]
    index: RunIndex


class RecordedRuns:
    """Find the runs of a session's experiments in the launch records."""

    def __init__(self, context: ModeContext, items: Sequence[pytest.Function]) -> None:
        self._context = context
        self._groups = by_place(items)
        self._known: dict[tuple[Repo, Remote], KnownThere] = {}
        self.files = SweepFiles(project_folders(context.config).top)
        """The files of sweeps, also of those that are not in this session."""
        self._is_incomplete = False
        self.unsubmitted = 0
        """How many experiments were skipped because they have no run, as far as is known."""

    @property
    def has_more(self) -> bool:
        """Whether there are experiments on remotes that were not searched yet."""
        return bool(self._groups)

    @property
    def unsubmitted_state(self) -> str:
        """The state of an experiment without a run; some launch records could not be read."""
        return str(JobState.UNKNOWN) if self._is_incomplete else "NOT SUBMITTED"

    def find_with(self, item: pytest.Function, places: tuple[Repo, Remote]) -> FoundRuns | None:
        """Find the runs of all items on the same remote as this one; None if that was done.

        Raises:
            RecordError: No launch record has the requested launch.
            RemexError: The runs folder cannot be read for runs that are not known here.

        """
        items = self._groups.pop(place_key(item), None)
        if items is None:
            return None
        repo, remote = places
        known = self.known_at(repo, remote)
        runs, local = list(known.index.newest_first()), remote.host is None
        items = [*items, *add_recorded(self._context.session, items, runs, local=local)]
        if not self._groups:
            _refuse_unknown(self._context.settings, self._known.values())
        found = self._newest(known, items)
        _refuse_unknown_bases(repo, items, found)
        have = {sweep_for(each).name for each in items if each.nodeid in found}
        lacking = [each for each in items if sweep_for(each).name not in have]
        renamed = _renamed(known.index, lacking, self.files, local=local)
        for note in (*renamed, *_with_other_parameters(known.index, lacking, local=local)):
            self._context.terminal.note(note)
        reached = self._reached_by(remote, found)
        return FoundRuns({each.nodeid: each for each in items}, reached, known.index)

    def known_at(self, repo: Repo, remote: Remote) -> KnownThere:
        """Return what is known of the runs on a remote, which is read once."""
        if (repo, remote) not in self._known:
            self._known[repo, remote] = self._read(repo, remote)
        return self._known[repo, remote]

    def added_to(
        self, sweeps: Iterable[tuple[Sweep, Variant]]
    ) -> Mapping[tuple[str, Variant], Sequence[Config]]:
        """Return the added replicates of sweeps, on all remotes that were read."""
        indexes = (known.index for known in self._known.values())
        return added_to(sweeps, [each for index in indexes for each in index.newest_first()])

    def skip_unsubmitted(self, item: pytest.Function) -> NoReturn:
        """Skip an experiment that has no run, and count it."""
        skip_after_left_out(item)
        say(item, self.unsubmitted_state)
        if sweep_for(item).is_added(point_of(item)):
            skip(NOT_HERE)
        self.unsubmitted += 1
        if self._is_incomplete:
            skip("unknown whether it was submitted: --remex-submit sends it if it was not")
        skip("not submitted: --remex-submit sends it")

    def _read(self, repo: Repo, remote: Remote) -> KnownThere:
        """Read the launch records here and in a remote's runs folder."""
        settings = self._context.settings
        unread: RemexError | None = None
        closed: list[str] = []
        try:
            if not settings.offline and may_hold_records(remote):
                sync(self._context.connections.to(remote), settings.launches, closed.append)
        except RemexError as error:
            unread = error
        index = RunIndex.read(settings.launches, [remote], bases_in(repo))
        for fault in [*closed, *index.faults]:
            self._context.terminal.note(fault)
        self._is_incomplete = self._is_incomplete or bool(closed) or index.has_unusable
        return KnownThere(index, unread)

    def _newest(
        self, known: KnownThere, items: Sequence[pytest.Function]
    ) -> dict[str, RecordedRun]:
        """Return the newest run of each item by node id, or the one in the launch asked for."""
        launch = self._context.settings.launch
        found = {
            item.nodeid: recorded
            for item in items
            if (recorded := _newest(known.index, item, launch, self.files))
        }
        if known.unread and len(found) < len(items):
            raise known.unread
        if known.unread:
            why = f"what others launched there is not known: {known.unread}"
            self._context.terminal.note(why)
        return found

    def _reached_by(
        self, remote: Remote, found: Mapping[str, RecordedRun]
    ) -> dict[str, RecordedRun]:
        """Return runs by node id, to be reached as `remote` says where it is the same host."""
        examples = {each.record.path: each for each in found.values()}
        for place in [each.launch.remote for each in examples.values()] or [remote]:
            self._context.terminal.target(place)
        reached = {path: each.reached_as(remote).record for path, each in examples.items()}
        return {
            node: RecordedRun(reached[each.record.path], each.run) for node, each in found.items()
        }


def query_options(context: ModeContext) -> QueryOptions:
    """Return what queries do: if the ends of jobs cannot be recorded, that is noted.

    It only costs the next command a query.
    """
    return QueryOptions(unrecorded=lambda error: context.terminal.note(str(error), "records"))


def polled(
    context: ModeContext, runs: Iterable[RecordedRun], progress: Progress = show_nothing
) -> Iterator[Mapping[str, Job]]:
    """Query runs, repeatedly if the user waits for them."""
    settings, asked = context.settings, replace(query_options(context), progress=progress)
    pace = Pace(settings.wait, settings.poll, context.terminal.announce, asked)
    return poll(list(runs), context.connections, pace)


def tell_end(context: ModeContext, jobs: Mapping[str, Job]) -> None:
    """Report the end of a wait at the terminal and to hooks, unless jobs have not ended."""
    if not jobs or any(job.state.live for job in jobs.values()):
        return
    failed = sum(job.state.failed for job in jobs.values())
    context.terminal.alert(f"{len(jobs)} ended" + (f", {failed} failed" if failed else ""))
    hooks = GuardedHooks(context.config.hook, context.terminal.note)
    hooks.call("pytest_remex_ended", jobs=jobs)


def bases_in(repo: Repo) -> Callable[[str], bool]:
    """Return a function that says whether a repository has a commit."""

    @functools.cache
    def has(base: str) -> bool:
        from pytest_remex.repo.git import Git  # noqa: PLC0415 - asked only if there are copies

        return Git(repo.path).has(base)

    return has


def _refuse_unknown(settings: Settings, known: Iterable[KnownThere]) -> None:
    """Refuse a launch without a record, if all could be read, or of another variant."""
    wanted, known = settings.launch, list(known)
    if wanted is None:
        return
    launches = {record.launch.id: record.launch for each in known for record in each.index.records}
    if wanted not in launches and not any(each.unread for each in known):
        newest = ", ".join([*launches][-5:]) or "none"
        where = settings.launches
        raise RecordError(f"there is no launch {wanted!r} in {where}: the newest are {newest}")
    variant = launches[wanted].variant if wanted in launches else settings.variant
    if variant != settings.variant:
        fix = f"add {variant.options}" if variant else f"leave {settings.variant.options} out"
        raise RecordError(f"the launch {wanted!r} is of another variant of the grid: {fix}")


def _refuse_unknown_bases(
    repo: Repo, items: Iterable[pytest.Function], found: Mapping[str, RecordedRun]
) -> None:
    """Refuse a base that does not exist, unless something is known to have run on it."""
    for base, its in grouped((variant_of(item).base, item) for item in items).items():
        if base and not any(item.nodeid in found for item in its):
            from pytest_remex.repo.git import Git  # noqa: PLC0415 - rarely, as above

            Git(repo.path).resolve(base, base_option(its[0]))


def _newest(
    index: RunIndex, item: pytest.Function, launch: str | None, files: SweepFiles
) -> RecordedRun | None:
    """Return an item's newest run, even if it was recorded with all digits of its floats."""
    node, point, variant = node_of(item), point_of(item), variant_of(item)
    older = with_full_id(node, sweep_for(item), point)
    found = index.newest(node, point, launch, variant)
    found = found or index.newest(older, point, launch, variant)
    if found is not None:
        return found
    renamed = _under_other_names(index, item, files)
    return next((each for each in renamed if launch in {None, each.launch.id}), None)


def _under_other_names(
    index: RunIndex, item: pytest.Function, files: SweepFiles
) -> Iterator[RecordedRun]:
    """Return an item's runs from before its sweep was moved to a file, or had `replicates`."""
    node, point, sweep = node_of(item), point_of(item), sweep_for(item)
    number = sweep.replicate_in(point)
    points = [point]
    if number == 1 and sweep.counts_replicates:
        bare = {name: value for name, value in point.items() if name != REPLICATE}
        points.append(bare if REPLICATE in point else {**point, REPLICATE: 1})
    for each in points:
        for recorded in index.of_sweep(sweep.name, each, variant_of(item)):
            run = recorded.run
            is_gone = function_of(run.node) == function_of(node) or not files.have(run.node)
            is_same = replicate_of(run, sweep) == number and run.parameters == parameters_of(item)
            if is_gone and is_same:
                named = run._replace(node=node, id=point_id(sweep, point), point=point)
                yield RecordedRun(recorded.record, named)


def _renamed(
    index: RunIndex, items: Iterable[pytest.Function], files: SweepFiles, *, local: bool
) -> Iterator[str]:
    """Yield which sweeps without runs may be others renamed: removed ones had the same points.

    Whether it is the same sweep is not known without a plan: its patch may make other files.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for item in items:
        at_point = index.at_point(point_of(item), variant_of(item), local=local)
        same = (each for each in at_point if each.run.parameters == parameters_of(item))
        former = next((each for each in same if not files.have(each.run.node)), None)
        if former is not None:
            old = former.run.sweep or former.launch.name
            counts[sweep_for(item).name, function_of(former.run.node), old] += 1
    for (name, function, old), count in counts.items():
        has = "has" if count == 1 else "have"
        yield (
            f"{name} has no runs, but {counted(count, 'run')} of {function}, which no longer "
            f'exists, {has} its points: if you renamed it, add name="{old}" to its @sweep, and all '
            f"commands know them; --remex-plan and --remex-submit recognize those with equal inputs"
        )


def _with_other_parameters(
    index: RunIndex, items: Iterable[pytest.Function], *, local: bool
) -> Iterator[str]:
    """Yield which sweeps without runs had other parameters when they ran.

    Which of these runs have the files of today's experiments is not known without a plan.
    """
    for item in {(sweep_for(item).name, variant_of(item)): item for item in items}.values():
        variant, function = variant_of(item), function_of(node_of(item))
        now = point_of(item).keys() - {REPLICATE}
        former = [
            names
            for each in index.newest_first()
            if function_of(each.run.node) == function and each.is_of(variant)
            if each.counts(local=local) and each.run.may_have_job
            if (names := each.run.point.keys() - {REPLICATE}) != now
        ]
        if former:
            before, after = (", ".join(sorted(names)) or "none" for names in (former[0], now))
            yield (
                f"{sweep_for(item).name} has no runs with its parameters ({after}), but "
                f"{counted(len(former), 'run')} with other ones ({before}): --remex-submit "
                f"recognizes those with equal inputs, and then all commands know them"
            )
