"""Write additions to launch records for runs that have no record in the runs folder.

Releases before 0.2 kept no records there, and a purge may have deleted others. What their
directories say is checked like a record from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_remex import names
from pytest_remex.common.records import FindRuns, FoundRun, Patched, ReadPatches
from pytest_remex.errors import RecordError, SweepError
from pytest_remex.model import SCRIPT, Commit, Remote
from pytest_remex.point_ids import function_of
from pytest_remex.records.copies import check_names
from pytest_remex.records.launch import Launch
from pytest_remex.records.schema import RunRecord, Stage, introduction
from pytest_remex.records.store import Journal, LaunchRecord, record_path
from pytest_remex.sbatch.header import Header, parse_header
from pytest_remex.transport import Connect, Connection

_NO_HEADER = "#!/bin/sh\n"


def adopt(connection: Connection, launches: Path, known: Iterable[str]) -> list[str]:
    """Write additions for runs without a record.

    Args:
        connection: The connection to their remote.
        launches: The output folder's launch records.
        known: The names of the records that are here.

    Returns:
        The names of the additions.

    Raises:
        RemoteError: The remote cannot be asked.
        RecordError: An addition cannot be written.

    """
    found: dict[tuple[str, str], list[FoundRun]] = {}
    for event in connection.ask(FindRuns(connection.remote.runs, sorted(known))):
        if isinstance(event, FoundRun) and _is_of_its_launch(event):
            found.setdefault((event.facts.launch, event.facts.token), []).append(event)
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


@dataclass(frozen=True, slots=True)
class RemoteCommits:
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
    end = f"_{launch[:-20]}_time_{launch[-19:]}_sha_{sha[:12]}"
    return bool(launch and sha) and found.directory.endswith(end)


def _record(found: Sequence[FoundRun], remote: Remote, launches: Path) -> LaunchRecord:
    """Return the record of a launch, as its run directories tell it."""
    first = found[0]
    facts, label = first.facts, first.facts.launch[:-20]
    function = function_of(facts.node).rpartition("::")[2]
    end = f"_{label}_time_{facts.launch[-19:]}_sha_{facts.sha[:12]}"
    launch = Launch(
        id=facts.launch,
        token=facts.token,
        name=function if names.label(function) == label else label,
        branch=first.directory.removesuffix(end),
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
        header=_header(found.script),
        stage=Stage.RELEASED,
        job=found.job,
        job_number=found.job_number,
        added=facts.added,
    )


def _header(script: str) -> Header:
    """Return what a script asks for; its job may have left another in its place."""
    try:
        return parse_header(script or _NO_HEADER, SCRIPT)
    except SweepError:
        return parse_header(_NO_HEADER, SCRIPT)
