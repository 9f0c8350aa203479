"""Exchange launch records with a runs folder, which all its clients share.

Runs without a record get additions to records: releases before 0.2 kept no records there, and a
purge may have deleted others. What their directories say is checked like a record from there.
"""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex import names
from pytest_remex.common.grouping import grouped
from pytest_remex.common.paths import launch_record
from pytest_remex.common.records import (
    AppendRecord,
    FindRuns,
    FoundRun,
    Patched,
    ReadPatches,
    ReadRecords,
    RecordClosed,
    RecordCut,
    RecordLacking,
    RecordPart,
    RecordRefused,
    RunsWithoutRecord,
)
from pytest_remex.errors import RecordError, RemoteError, SweepError
from pytest_remex.model import Commit, Remote
from pytest_remex.names import function_of
from pytest_remex.records.copies import Copies, check_names, packed
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.journal import Journal
from pytest_remex.records.launch import Launch
from pytest_remex.records.schema import Event, RunRecord, Stage, introduction
from pytest_remex.records.store import LaunchRecord, record_path
from pytest_remex.sbatch.script import header_of_any

if TYPE_CHECKING:
    from pytest_remex.transport.connection import Connect, Connection

PAUSE = 0.5
"""Seconds to wait for the end of a line that another client is writing."""


def sync(
    connection: Connection, launches: Path, closed: Callable[[str], None]
) -> Mapping[str, int]:
    """Copy the records that are missing here, and restore those that the runs folder lacks.

    Args:
        connection: The connection to the remote.
        launches: The output folder's launch records.
        closed: Called with a message for each record there that cannot be read to its end.

    Returns:
        How many bytes of each record both have now, by its name.

    Raises:
        RemoteError: The remote cannot be queried.
        RecordError: A copy cannot be written.

    """
    copies = Copies(launches, connection.remote)
    known = copies.known()
    elsewhere, lacking, has_unrecorded = _read(connection, copies, known, closed)
    if has_unrecorded:
        lacking += [RecordLacking(each, 0) for each in adopt(connection, launches, known)]
    for missing in lacking:
        part = copies.part(missing.record, missing.size)
        for event in connection.ask(AppendRecord(connection.remote.runs, part)):
            if isinstance(event, RecordRefused):
                elsewhere.append(missing.record)
    if elsewhere:  # another output folder, a copy or backup of this one, has continued the record
        known_there = copies.known() | dict.fromkeys(elsewhere, 0)
        _read(connection, copies, known_there, lambda _: None, take_all=True)
    return copies.known()


def may_hold_records(remote: Remote) -> bool:
    """Return whether a runs folder may exist: a local one does not before the first submit."""
    return remote.host is not None or Path(remote.runs).expanduser().exists()


def _read(
    connection: Connection,
    copies: Copies,
    known: Mapping[str, int],
    closed: Callable[[str], None],
    *,
    take_all: bool = False,
) -> tuple[list[str], list[RecordLacking], bool]:
    """Take what is new.

    Returns:
        The own records that the runs folder has more of, what it lacks, and whether it has runs
        that no record mentions.

    """
    elsewhere: list[str] = []
    lacking: list[RecordLacking] = []
    has_unrecorded = is_cut = False
    for event in connection.ask(ReadRecords(connection.remote.runs, dict(known))):
        if isinstance(event, RecordLacking):
            lacking.append(event)
        elif isinstance(event, RunsWithoutRecord):
            has_unrecorded = True
        elif isinstance(event, RecordClosed):
            path = launch_record(connection.remote.runs, event.record)
            who = f"have {event.owner} run" if event.owner else "run"
            closed(
                f"{path} may not be read, so what that launch submitted is not known here: {who} "
                f"`chmod a+r {shlex.quote(path)}` on the cluster"
            )
        elif isinstance(event, RecordCut):
            is_cut = True
        elif isinstance(event, RecordPart):
            if not take_all and copies.is_own(event.record):
                elsewhere.append(event.record)
            else:
                copies.take(event)
    if is_cut:
        _read_cut(connection, copies, closed)
    return elsewhere, lacking, has_unrecorded


def _read_cut(connection: Connection, copies: Copies, closed: Callable[[str], None]) -> None:
    """Read records again that ended within a line: another client may have been writing it."""
    time.sleep(PAUSE)
    for event in connection.ask(ReadRecords(connection.remote.runs, copies.known())):
        if isinstance(event, RecordPart) and not copies.is_own(event.record):
            copies.take(event)
        elif isinstance(event, RecordCut):
            closed(
                f"{launch_record(connection.remote.runs, event.record)} ends within a line, so not "
                f"all that its launch submitted may be known here: run the same command again; if "
                f"that does not help, run --remex-status where it was launched"
            )


def share(
    runs: Iterable[RecordedRun],
    events: Callable[[list[RecordedRun]], Iterable[Event]],
    connect: Connect,
) -> None:
    """Record what became of runs, here and for all clients of their runs folders.

    If the runs folder cannot be written, as on a full disk, the next command appends them.

    Args:
        runs: The runs.
        events: Returns the events about runs of one launch.
        connect: Returns the connection to a remote.

    Raises:
        RecordError: A launch record cannot be written.

    """
    for group in grouped((id(each.record), each) for each in runs).values():
        record = group[0].record
        journal = Journal.resume(record)
        try:
            journal.write(events(group))
            part = packed(journal.name, journal.start, journal.written(journal.start))
        finally:
            journal.close()
        remote = record.launch.remote
        with suppress(RemoteError):
            connect(remote).tell(AppendRecord(remote.runs, part))


def adopt(connection: Connection, launches: Path, known: Iterable[str]) -> list[str]:
    """Write additions for runs that none of the records that are `known` here has.

    Returns:
        The names of the additions.

    Raises:
        RemoteError: The remote cannot be asked.
        RecordError: An addition cannot be written.

    """
    found = grouped(
        ((event.facts.launch, event.facts.token), event)
        for event in connection.ask(FindRuns(connection.remote.runs, sorted(known)))
        if isinstance(event, FoundRun) and _is_of_its_launch(event)
    )
    written = []
    for runs in found.values():
        usable = [each for each in runs if _is_usable(each, connection.remote, launches)]
        if not usable:
            continue
        (base, _), *_ = Counter(each.facts.parent for each in usable).most_common(1)
        ours = [each for each in usable if each.facts.parent == base]  # a launch has one base
        record = _record(ours, connection.remote, launches)
        journal = Journal.resume(record)
        journal.write(event for run in record.runs.values() for event in introduction(run))
        journal.close()
        written.append(journal.name)
    return written


class RemoteCommits(NamedTuple):
    """The commits that only the clones of remotes have: see `patches`.

    `met` are the remotes that answered before; no other is asked.
    """

    connect: Connect
    met: Container[Remote]

    def patches(
        self, remote: Remote, base: str, commits: Sequence[Commit], script: str
    ) -> Mapping[str, Patched]:
        """Return what commits changed in their base, by their shas, as far as a remote has them.

        Args:
            remote: Whose clone may have them.
            base: The commit that they are based on.
            commits: The commits.
            script: The path of the script, whose text is asked for too.

        Raises:
            RemoteError: The remote cannot be asked.

        """
        if remote not in self.met or remote.host is None:
            return {}
        pairs = [[each.sha, each.tree] for each in commits]
        events = self.connect(remote).ask(ReadPatches(remote.clone, base, script, pairs))
        return {event.sha: event for event in events if isinstance(event, Patched)}


def _is_usable(found: FoundRun, remote: Remote, launches: Path) -> bool:
    """Return whether a run directory says of itself only what can be."""
    try:
        check_names(_record([found], remote, launches))
    except (RecordError, SweepError):
        return False
    return True


def _is_of_its_launch(found: FoundRun) -> bool:
    """Return whether a run directory is where its launch placed it: its job may have moved it."""
    launch, sha = found.facts.launch, found.facts.sha
    return bool(launch and sha) and found.directory.endswith(names.directory_end(launch, sha))


def _record(found: Sequence[FoundRun], remote: Remote, launches: Path) -> LaunchRecord:
    """Return the record of a launch, as its run directories tell it."""
    first = found[0]
    facts, label = first.facts, names.launch_label(first.facts.launch)
    function = function_of(facts.node).rpartition("::")[2]
    launch = Launch(
        id=facts.launch,
        token=facts.token,
        name=function if names.label(function) == label else label,
        branch=first.directory.removesuffix(names.directory_end(facts.launch, facts.sha)),
        base=facts.parent,
        base_config={k: v for k, v in facts.config.items() if k not in facts.point},
        fetch=(),
        config_files=(),
        remote=remote,
        by=first.owner,
    )
    runs = {each.facts.sha: _run(each) for each in found}
    return LaunchRecord(launch, runs, record_path(launches, launch.id), own=False, home=launches)


def _run(found: FoundRun) -> RunRecord:
    facts = found.facts
    return RunRecord(
        node=facts.node,
        id=facts.id,
        point=facts.point,
        parameters={},
        commit=Commit(facts.sha, facts.tree, facts.parent),
        directory=found.directory,
        header=header_of_any(found.script),
        stage=Stage.RELEASED,
        job=found.job,
        job_number=found.job_number,
        added=facts.added,
    )
