"""Decides whether and in which launch an experiment is submitted, and keeps launches open."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_remex import names
from pytest_remex.errors import RecordError, RemexError
from pytest_remex.grouping import Grouping
from pytest_remex.launch import phase
from pytest_remex.launch.opened import Batch, OpenLaunch, Outcome, Progress
from pytest_remex.launch.orders import Doors, Order, is_same, publisher_for
from pytest_remex.launch.tidying import tidy_after_crashes
from pytest_remex.launch.units import header_facts
from pytest_remex.mends import writing
from pytest_remex.model import Remote, Repo
from pytest_remex.records.history import Found, History
from pytest_remex.records.journal import Journal, renamed, staged
from pytest_remex.records.reading import Entry, Launch, Record, Stage
from pytest_remex.repo.workspace import Prepared


class Launcher:
    """The launches of one pytest run, on the launch records in `folder`.

    `grouping` is for new runs. Raises `RecordError` where another pytest is submitting from
    the same output folder, or where that cannot be written.
    """

    def __init__(self, folder: Path, doors: Doors, grouping: Grouping) -> None:
        self._folder = folder
        self._doors = doors
        self._grouping = grouping
        self._open: dict[object, OpenLaunch] = {}
        self._places: dict[Remote, Repo] = {}
        self._lock = FileLock(folder / ".lock")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._acquire()
        self.history = History.read(folder)

    def submitted(self, prepared: Prepared, repo: Repo, remote: Remote) -> Found | None:
        """Give the run that an experiment has already, known by its present names from now on."""
        self._places[remote] = repo
        found = self.history.submitted(prepared.commit, local=remote.host is None)
        if found and not self._is_named(found.entry, prepared):
            now = self._entry(prepared, found.entry.directory)
            with self._journal(found.record) as journal:
                journal.write([renamed(replace(now, commit=found.entry.commit))])
        return found

    def continued(self, found: Found, command: str) -> Found:
        """Make a run ready for another job in its run directory, which runs `command`."""
        entry = replace(
            found.entry,
            stage=Stage.PLACED,
            serial=found.entry.serial + 1,
            command=command,
            unit="",
            ended=None,
        )
        sha = entry.commit.sha
        with self._journal(found.record) as journal:
            journal.write(
                [staged(sha, Stage.PLACED, serial=entry.serial, command=command, unit="")]
            )
        record = replace(found.record, entries={**found.record.entries, sha: entry})
        return Found(record, entry)

    def commit(self, orders: Sequence[Order]) -> Callable[[Progress], list[Outcome]]:
        """Note a batch in its launches; gives what submits it, with one outcome for each order.

        What it gives may run in a thread of its own while more is prepared, and raises what
        concerns them all.
        """
        groups = self._groups(orders)
        batches = [self._committed([orders[index] for index in group]) for group in groups]
        return partial(_send, groups, batches)

    def launches(self) -> list[str]:
        """Name the launches that this pytest run has opened."""
        return [opened.launch.id for opened in self._open.values()]

    def may_be_submitted(self, order: Order) -> bool:
        """Say whether an order whose batch failed may have a job all the same."""
        opened = self._open.get(_launch_key(order))
        entry = opened.entries.get(order.prepared.commit.sha) if opened else None
        return entry is not None and entry.stage in phase.SENT

    def launch_of(self, order: Order) -> str:
        """Name the launch that an order was submitted in."""
        return self._open[_launch_key(order)].launch.id

    def close(self) -> list[str]:
        """Finish all launches; give what they told of and what could not be tidied up."""
        warnings: list[str] = []
        for opened in self._open.values():
            warnings += dict.fromkeys(opened.warnings)
            with _told_in(warnings), closing(opened.journal), _told_in(warnings):
                phase.finish(opened)
        with _told_in(warnings):
            warnings += tidy_after_crashes(
                self.history.records, self.launches(), self._places, self._doors
            )
        self._open.clear()
        self._lock.release()
        return warnings

    def _acquire(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RecordError(
                f"another pytest is submitting from {self._folder} now: wait until it is done"
            ) from None

    @contextmanager
    def _journal(self, record: Record) -> Iterator[Journal]:
        """Lend a launch's record for writing, also while a thread submits runs of that launch."""
        if opened := self._open.get(record.launch.id):
            yield opened.journal
            return
        journal = Journal.resume(record)
        yield journal
        journal.close()

    def _committed(self, orders: Sequence[Order]) -> Batch:
        opened = self._opened(orders[0])
        return phase.commit(opened, [self._ordered(opened, order) for order in orders])

    def _groups(self, orders: Sequence[Order]) -> list[list[int]]:
        groups: dict[object, list[int]] = {}
        for index, order in enumerate(orders):
            groups.setdefault(_launch_key(order), []).append(index)
        return list(groups.values())

    def _opened(self, order: Order) -> OpenLaunch:
        key = _launch_key(order)
        if key not in self._open:
            self._open[key] = (
                self._resume(order, order.interrupted.record)
                if order.interrupted
                else self._begin(order)
            )
        return self._open[key]

    def _begin(self, order: Order) -> OpenLaunch:
        experiment, commit = order.prepared.experiment, order.prepared.commit
        workspace = self._doors.workspaces.at(order.repo, commit.base)
        connection = self._doors.connect(order.remote)
        connection.facts()
        while True:
            launch = Launch(
                id=names.launch_id(experiment.sweep.name, datetime.now().astimezone()),
                token=secrets.token_hex(8),
                name=experiment.sweep.name,
                branch=workspace.branch,
                base=commit.base,
                base_config=experiment.sweep.base_config,
                fetch=experiment.sweep.fetch,
                config_file=experiment.sweep.config_file,
                remote=order.remote,
            )
            # Refused before there is a record: every name of this launch is shorter than this one.
            names.run_directory(launch.branch, launch.id, commit.sha)
            try:
                journal = Journal.begin(self._folder, launch)
            except FileExistsError:
                time.sleep(0.2)
                continue
            publisher = publisher_for(workspace, launch, connection)
            return OpenLaunch(launch, journal, workspace, connection, publisher, self._grouping)

    def _resume(self, order: Order, record: Record) -> OpenLaunch:
        launch = record.launch
        workspace = self._doors.workspaces.at(order.repo, launch.base)
        connection = self._doors.connect(self._reached(launch.remote, order.remote))
        publisher = publisher_for(workspace, launch, connection, record.tips)
        journal = Journal.resume(record)
        opened = OpenLaunch(launch, journal, workspace, connection, publisher, self._grouping)
        opened.add(record.entries.values())
        opened.doubtful = frozenset(
            sha
            for sha, entry in record.entries.items()
            if entry.stage in {Stage.SUBMITTING, Stage.INDOUBT}
        )
        return opened

    def _reached(self, recorded: Remote, today: Remote) -> Remote:
        return today if is_same(recorded, today) else recorded

    def _ordered(self, opened: OpenLaunch, order: Order) -> Entry:
        sha = order.prepared.commit.sha
        if order.interrupted:
            entry = order.interrupted.entry
            if entry.serial > opened.entries[entry.commit.sha].serial:
                opened.add([entry])
            return entry
        directory = names.run_directory(opened.launch.branch, opened.launch.id, sha)
        return self._entry(order.prepared, directory)

    def _entry(self, prepared: Prepared, directory: str) -> Entry:
        return Entry(
            node=prepared.node,
            id=prepared.experiment.id,
            point=prepared.experiment.point,
            parameters=prepared.parameters,
            commit=prepared.commit,
            directory=directory,
            header=header_facts(prepared.header),
        )

    def _is_named(self, entry: Entry, prepared: Prepared) -> bool:
        return (entry.node, dict(entry.point)) == (prepared.node, dict(prepared.experiment.point))


@contextmanager
def _told_in(warnings: list[str]) -> Iterator[None]:
    try:
        yield
    except RemexError as error:
        warnings.append(str(error))


def _send(
    groups: Sequence[Sequence[int]], batches: Sequence[Batch], progress: Progress
) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {}
    for group, batch in zip(groups, batches, strict=True):
        outcomes |= zip(group, phase.send(batch, progress), strict=True)
    return [outcomes[index] for index in sorted(outcomes)]


def _launch_key(order: Order) -> object:
    if order.interrupted:
        return order.interrupted.record.launch.id
    prepared = order.prepared
    return prepared.experiment.sweep.name, order.repo, prepared.commit.base, order.remote
