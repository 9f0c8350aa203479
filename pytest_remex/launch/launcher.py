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
from pytest_remex.io import writing
from pytest_remex.launch import pipeline
from pytest_remex.launch.cleanup import tidy_after_crashes
from pytest_remex.launch.grouping import Grouping
from pytest_remex.launch.requests import Services, SubmitRequest, is_same, publisher_for
from pytest_remex.launch.session import Batch, LaunchSession, Outcome, Progress
from pytest_remex.model import Remote, Repo
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.records.schema import Launch, Renamed, RunRecord, Stage, StageReached
from pytest_remex.records.store import Journal, LaunchRecord, changed
from pytest_remex.repo.workspace import Prepared


class Launcher:
    """The launches of one pytest run, on the launch records in `folder`.

    `grouping` is for new runs. Raises `RecordError` where another pytest is submitting from
    the same output folder, or where that cannot be written.
    """

    def __init__(self, folder: Path, doors: Services, grouping: Grouping) -> None:
        self._folder = folder
        self._doors = doors
        self._grouping = grouping
        self._open: dict[object, LaunchSession] = {}
        self._places: dict[Remote, Repo] = {}
        self._lock = FileLock(folder / ".lock")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._acquire()
        self.history = RunIndex.read(folder)

    def submitted(self, prepared: Prepared, repo: Repo, remote: Remote) -> RecordedRun | None:
        """Give the run that an experiment has already, known by its present names from now on."""
        self._places[remote] = repo
        found = self.history.submitted(prepared.commit, local=remote.host is None)
        if found and not self._is_named(found.run, prepared):
            now = self._entry(prepared, found.run.directory)
            with self._journal(found.record) as journal:
                journal.write([Renamed.of(replace(now, commit=found.run.commit))])
        return found

    def continued(self, found: RecordedRun, command: str) -> RecordedRun:
        """Make a run ready for another job in its run directory, which runs `command`."""
        sha = found.run.commit.sha
        event = StageReached(
            sha,
            Stage.PLACED,
            job_number=found.run.job_number + 1,
            command=command,
            submission="",
        )
        with self._journal(found.record) as journal:
            journal.write([event])
        run = changed(found.run, event)
        record = replace(found.record, runs={**found.record.runs, sha: run})
        return RecordedRun(record, run)

    def commit(self, orders: Sequence[SubmitRequest]) -> Callable[[Progress], list[Outcome]]:
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

    def may_be_submitted(self, order: SubmitRequest) -> bool:
        """Say whether an order whose batch failed may have a job all the same."""
        opened = self._open.get(_launch_key(order))
        entry = opened.entries.get(order.prepared.commit.sha) if opened else None
        return entry is not None and entry.stage in pipeline.SENT

    def launch_of(self, order: SubmitRequest) -> str:
        """Name the launch that an order was submitted in."""
        return self._open[_launch_key(order)].launch.id

    def close(self) -> list[str]:
        """Finish all launches; give what could not be tidied up, as warnings."""
        warnings: list[str] = []
        for opened in self._open.values():
            with _told_in(warnings), closing(opened.journal), _told_in(warnings):
                pipeline.finish(opened)
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
    def _journal(self, record: LaunchRecord) -> Iterator[Journal]:
        """Lend a launch's record for writing, also while a thread submits runs of that launch."""
        if opened := self._open.get(record.launch.id):
            yield opened.journal
            return
        journal = Journal.resume(record)
        yield journal
        journal.close()

    def _committed(self, orders: Sequence[SubmitRequest]) -> Batch:
        opened = self._opened(orders[0])
        return pipeline.commit(opened, [self._ordered(opened, order) for order in orders])

    def _groups(self, orders: Sequence[SubmitRequest]) -> list[list[int]]:
        groups: dict[object, list[int]] = {}
        for index, order in enumerate(orders):
            groups.setdefault(_launch_key(order), []).append(index)
        return list(groups.values())

    def _opened(self, order: SubmitRequest) -> LaunchSession:
        key = _launch_key(order)
        if key not in self._open:
            self._open[key] = (
                self._resume(order, order.interrupted.record)
                if order.interrupted
                else self._begin(order)
            )
        return self._open[key]

    def _begin(self, order: SubmitRequest) -> LaunchSession:
        experiment, commit = order.prepared.experiment, order.prepared.commit
        workspace = self._doors.workspaces.at(order.repo, commit.base)
        connection = self._doors.connect(order.remote)
        connection.host()
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
            return LaunchSession(launch, journal, workspace, connection, publisher, self._grouping)

    def _resume(self, order: SubmitRequest, record: LaunchRecord) -> LaunchSession:
        launch = record.launch
        workspace = self._doors.workspaces.at(order.repo, launch.base)
        connection = self._doors.connect(self._reached(launch.remote, order.remote))
        publisher = publisher_for(workspace, launch, connection, record.tips)
        journal = Journal.resume(record)
        opened = LaunchSession(launch, journal, workspace, connection, publisher, self._grouping)
        opened.add(record.runs.values())
        opened.doubtful = frozenset(
            sha
            for sha, entry in record.runs.items()
            if entry.stage in {Stage.SUBMITTING, Stage.INDOUBT}
        )
        return opened

    def _reached(self, recorded: Remote, today: Remote) -> Remote:
        return today if is_same(recorded, today) else recorded

    def _ordered(self, opened: LaunchSession, order: SubmitRequest) -> RunRecord:
        sha = order.prepared.commit.sha
        if order.interrupted:
            entry = order.interrupted.run
            if entry.job_number > opened.entries[entry.commit.sha].job_number:
                opened.add([entry])
            return entry
        directory = names.run_directory(opened.launch.branch, opened.launch.id, sha)
        return self._entry(order.prepared, directory)

    def _entry(self, prepared: Prepared, directory: str) -> RunRecord:
        return RunRecord(
            node=prepared.node,
            id=prepared.experiment.id,
            point=prepared.experiment.point,
            parameters=prepared.parameters,
            commit=prepared.commit,
            directory=directory,
            header=prepared.header,
        )

    def _is_named(self, entry: RunRecord, prepared: Prepared) -> bool:
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
        outcomes |= zip(group, pipeline.send(batch, progress), strict=True)
    return [outcomes[index] for index in sorted(outcomes)]


def _launch_key(order: SubmitRequest) -> object:
    if order.interrupted:
        return order.interrupted.record.launch.id
    prepared = order.prepared
    return prepared.experiment.sweep.name, order.repo, prepared.commit.base, order.remote
