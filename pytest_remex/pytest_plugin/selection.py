"""The modes that use launch records: the selected experiments and their runs."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import pytest

from pytest_remex.collect.hooks import GuardedHooks
from pytest_remex.collect.query import Pace, QueryOptions, poll
from pytest_remex.collect.sync import may_hold_records, sync
from pytest_remex.common.jobs import Job
from pytest_remex.display import Progress, counted, show_nothing
from pytest_remex.errors import RecordError, RemexError
from pytest_remex.model import REPLICATE, Config, Remote, Repo, Sweep
from pytest_remex.names import function_of, point_id, with_full_id
from pytest_remex.pytest_plugin.anchor import anchor_of, node_of
from pytest_remex.pytest_plugin.failures import FailuresReportedElsewhere
from pytest_remex.pytest_plugin.item_outcomes import failing_plainly, say, skip
from pytest_remex.pytest_plugin.items import (
    by_place,
    is_experiment,
    parameters_of,
    place_key,
    places_of,
    point_of,
    sweep_for,
    variant_of,
)
from pytest_remex.pytest_plugin.options import Settings
from pytest_remex.pytest_plugin.replicates import NOT_HERE, add_recorded
from pytest_remex.pytest_plugin.stages import skip_after_left_out
from pytest_remex.pytest_plugin.terminal import Terminal
from pytest_remex.pytest_plugin.variants import base_option
from pytest_remex.records.added import added_to, replicate_of
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.store import LaunchRecord
from pytest_remex.sweep_file import SweepFiles
from pytest_remex.transport import Connections
from pytest_remex.variant import Variant

NOT_ENDED = 10
"""The exit code if nothing failed, but some experiments have not ended."""


@dataclass(frozen=True, slots=True)
class KnownThere:
    """What is known of the runs on a remote; `unread` is why its runs folder was not read."""

    index: RunIndex
    unread: RemexError | None


class RecordedRunsMode:
    """The base of the modes that use launch records: a terminal, connections, recorded runs."""

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        self._session = session
        self._config = session.config
        self._settings = settings
        self._terminal = Terminal(session.config)
        self._connections = Connections(self._terminal.prompt, self._terminal.announce)
        self._groups = by_place(items)
        self._known: dict[tuple[Repo, Remote], KnownThere] = {}
        self._unsubmitted = 0
        self._index = RunIndex([])
        self._files = SweepFiles(anchor_of(session.config).folder)
        self._query_options = QueryOptions(unrecorded=self._note_unrecorded)

    def _find_runs_with(
        self, item: pytest.Function, repo: Repo, remote: Remote
    ) -> dict[str, RecordedRun] | None:
        """On the first call, return the runs by node id of all items on the same remote.

        Raises:
            RecordError: No launch record has the requested launch.
            RemexError: The runs folder cannot be read for runs that are not known here.

        """
        items = self._groups.pop(place_key(item), None)
        if items is None:
            return None
        if (repo, remote) not in self._known:
            self._known[repo, remote] = self._read_known(repo, remote)
        self._index = self._known[repo, remote].index
        runs = list(self._index.newest_first())
        more = add_recorded(self._session, items, runs, local=remote.host is None)
        self._adopt(more)
        items = [*items, *more]
        if not self._groups:
            _refuse_unknown(self._settings, self._known.values())
        found = self._find_runs(self._known[repo, remote], items)
        _refuse_unknown_bases(repo, items, found)
        have = {sweep_for(item).name for item in items if item.nodeid in found}
        lacking = [item for item in items if sweep_for(item).name not in have]
        for note in _renamed(self._index, lacking, self._files, local=remote.host is None):
            self._terminal.note(note)
        return self._runs_on(remote, found)

    def _added_to(
        self, plans: Iterable[tuple[Sweep, Variant]]
    ) -> Mapping[tuple[str, Variant], Sequence[Config]]:
        """Return the added replicates of sweeps, on all remotes that were read."""
        indexes = (known.index for known in self._known.values())
        return added_to(plans, [each for index in indexes for each in index.newest_first()])

    def _adopt(self, items: Sequence[pytest.Function]) -> None:
        """Take in items: those of the session, later replicates that are found in a runs folder."""

    def _runs_on(
        self, remote: Remote, recorded: Mapping[str, RecordedRun]
    ) -> dict[str, RecordedRun]:
        """Return runs by node id, to be reached as `remote` says where it is the same host."""
        records = {run.record.path: run.record for run in recorded.values()}
        for place in [record.launch.remote for record in records.values()] or [remote]:
            self._terminal.target(place)
        reached = {path: _reached_by(remote, record) for path, record in records.items()}
        return {
            node: RecordedRun(reached[each.record.path], each.run)
            for node, each in recorded.items()
        }

    def _tell_end(self, jobs: Mapping[str, Job]) -> None:
        """Report the end of a wait, when all jobs have ended, at the terminal and to hooks."""
        failed = sum(job.state.failed for job in jobs.values())
        self._terminal.alert(f"{len(jobs)} ended" + (f", {failed} failed" if failed else ""))
        hooks = GuardedHooks(self._config.hook, self._terminal.note)
        hooks.call("pytest_remex_ended", jobs=jobs)

    def _polled(
        self, runs: Sequence[RecordedRun], progress: Progress = show_nothing
    ) -> Iterator[Mapping[str, Job]]:
        """Query runs, repeatedly if the user waits for them."""
        options = replace(self._query_options, progress=progress)
        pace = Pace(self._settings.wait, self._settings.poll, self._terminal.announce, options)
        return poll(runs, self._connections, pace)

    def _note_unrecorded(self, error: RecordError) -> None:
        """Note that ends of jobs are not recorded, which only costs the next command a query."""
        self._terminal.note(str(error), "records")

    def _read_known(self, repo: Repo, remote: Remote) -> KnownThere:
        """Return the index of what is known here and in a remote's runs folder."""
        unread = self._read_runs_folder(remote)
        index = RunIndex.read(self._settings.launches, [remote], bases_in(repo))
        for fault in index.faults:
            self._terminal.note(fault)
        return KnownThere(index, unread)

    def _find_runs(
        self, known: KnownThere, items: Sequence[pytest.Function]
    ) -> dict[str, RecordedRun]:
        """Return the newest run of each item by node id, or the one in the launch asked for."""
        found = {
            item.nodeid: recorded
            for item in items
            if (recorded := _newest(known.index, item, self._settings.launch, self._files))
        }
        if known.unread and len(found) < len(items):
            raise known.unread
        if known.unread:
            self._terminal.note(f"what others launched there is not known: {known.unread}")
        return found

    def _read_runs_folder(self, remote: Remote) -> RemexError | None:
        """Read the launch records in the runs folder; return the error if that failed."""
        if self._settings.offline or not may_hold_records(remote):
            return None
        try:
            sync(self._connections.to(remote), self._settings.launches)
        except RemexError as error:
            return error
        return None

    def _skip_unsubmitted(self, item: pytest.Function) -> NoReturn:
        """Skip an experiment that has no run, and count it."""
        skip_after_left_out(item)
        say(item, "NOT SUBMITTED")
        if sweep_for(item).is_added(point_of(item)):
            skip(NOT_HERE)
        self._unsubmitted += 1
        skip("not submitted: --remex-submit sends it")


class QueryMode(RecordedRunsMode):
    """The base of the modes that call no sweep function: status, cancel, log, clean.

    Their items' outcomes are not test outcomes, so pytest's memory of the last failures, which
    `--lf` uses, is not changed.
    """

    def __init__(
        self, session: pytest.Session, settings: Settings, items: Sequence[pytest.Function]
    ) -> None:
        super().__init__(session, settings, items)
        self._runs: dict[str, RecordedRun] = {}
        self._items: dict[str, pytest.Function] = {}
        self._reported: set[str] = set()
        reporter = FailuresReportedElsewhere(session.config, self._reported)
        session.config.pluginmanager.register(reporter, "remex-failures")
        self._adopt(items)

    def _adopt(self, items: Sequence[pytest.Function]) -> None:
        self._items |= {item.nodeid: item for item in items}
        for item in items:
            # only the fixtures that say where the runs are
            item.fixturenames[:] = [name for name in item.fixturenames if name in NEEDED]

    @abstractmethod
    def _begin(self, runs: Mapping[str, RecordedRun]) -> None:
        """Do what is done once for all runs in one place, by node id; `_runs` has them by then."""

    @abstractmethod
    def _show(self, item: pytest.Function, recorded: RecordedRun) -> None:
        """Set the outcome of one item."""

    def _count(self, item: pytest.Function, word: str, job: Job, **markup: bool) -> None:
        """Show a job's state as an item's outcome, which pytest has nothing more to print of."""
        say(item, word, counted=str(job.state).lower(), **markup)
        if job.state.failed:
            self._reported.add(item.nodeid)

    @contextmanager
    def checkout(self, _item: pytest.Function, repo: Repo, _remote: Remote) -> Iterator[Path]:
        """Check nothing out: the body does not run."""
        yield repo.path

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Keep pytest's memory of the last failures unchanged."""
        for name in ("lfplugin", "stepwiseplugin"):
            if self._config.pluginmanager.has_plugin(name):
                self._config.pluginmanager.unregister(name=name)

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """Show an experiment's state instead of running a test."""
        __tracebackhide__ = True
        if not is_experiment(pyfuncitem):
            return None
        with failing_plainly(pyfuncitem.session):
            runs = self._find_runs_with(pyfuncitem, *places_of(pyfuncitem))
            if runs is not None:
                self._runs |= runs
                self._begin(runs)
        recorded = self._runs.get(pyfuncitem.nodeid)
        if recorded is None:
            self._skip_unsubmitted(pyfuncitem)
        self._show(pyfuncitem, recorded)
        return True


NEEDED = frozenset({"repo", "remote", "request", "pytestconfig"})
"""The fixtures of an item whose body does not run."""


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
    by_base: dict[str, list[pytest.Function]] = {}
    for item in items:
        by_base.setdefault(variant_of(item).base, []).append(item)
    for base, its in by_base.items():
        if base and not any(item.nodeid in found for item in its):
            from pytest_remex.repo.git import Git  # noqa: PLC0415 - seldom, as above

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
                named = replace(run, node=node, id=point_id(sweep, point), point=point)
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


def _reached_by(remote: Remote, record: LaunchRecord) -> LaunchRecord:
    """Return a record that is reached as `remote` if it is the same host."""
    reached = record.launch.remote.reached_as(remote)
    return replace(record, launch=replace(record.launch, remote=reached))
