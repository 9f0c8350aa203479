"""Import the grids of RemoteExperiments: run directories, downloaded files, pickled sweeps.

Its run directories are `<branch>_<name>_time_2021_01_12_10_21_25_sha_694c`, its downloads
`<run directory>_<file>`, and its sweeps dictionaries in `<name>_2021_01_12_10_30_00.pkl`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_remex import names
from pytest_remex.collect.judge import JudgedRun, read_back_config
from pytest_remex.collect.manifest import FetchedOutputs, write_outputs
from pytest_remex.collect.removal import today
from pytest_remex.collect.runs import CollectedRun, WantedRun, collect_offline
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import RemexError, RepositoryError
from pytest_remex.hooks import GuardedHooks
from pytest_remex.io import prepare_output_folder, writing
from pytest_remex.model import Commit, Remote, Repo
from pytest_remex.names import point_id
from pytest_remex.records.fields import Collected
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.journal import Journal
from pytest_remex.records.launch import Launch, whoami
from pytest_remex.records.schema import Ended, Event, RunRecord, Stage, introduction
from pytest_remex.records.store import LaunchRecord, read_record, record_path
from pytest_remex.remote_experiments.old_runs import (
    ImportOptions,
    OldRun,
    OldSweep,
    pickled_sweeps,
    read_runs,
    settings_in,
    sweeps_by_name,
)
from pytest_remex.repo.git import Git
from pytest_remex.repo.history import Wanted, find_commits, keep_commits
from pytest_remex.tables.publish import publish
from pytest_remex.tables.readers import hooks_of
from pytest_remex.tables.rows import PublishOptions, results_folder

if TYPE_CHECKING:
    import pandas as pd

    from pytest_remex.model import Config

__all__ = ["import_runs"]

ENDED = "imported: RemoteExperiments keeps no exit codes"
"""The reason of each imported run, whose job counts as completed."""
_SHA = 40


def import_runs(  # noqa: PLR0913 - a call with names, as those of `scripting`
    folder: str | Path,
    *,
    repo: Repo,
    sweeps: str | Path | Iterable[str | Path] = (),
    fetch: Iterable[str] = (),
    config_file: str | None = None,
    remote: Remote | None = None,
    sweep_file: str = "sweeps.py",
    output: str | Path = "remex-output",
    plugins: Iterable[object] = (),
) -> dict[str, pd.DataFrame]:
    """Import runs of RemoteExperiments into launch records, outputs and results.

    Status, results and report then show them as any others. Commits that are still in the
    repository are kept by refs `refs/remex/<launch>`. Importing again adds what is new. Files are
    linked if they are on the same disk, and copied if not; nothing in `folder` is changed.

    Args:
        folder: The folder that has the run directories, the downloaded files, or both.
        repo: The repository that the runs were made from.
        sweeps: Pickled sweeps, or folders that have them. Runs of none are grouped by the names of
            their directories; their points are the settings in which their config files differ.
        fetch: Which outputs to take, as for `@sweep`. Of downloaded files all are taken; one that
            is called as the end of a name here, such as `LOGS/history.data`, gets that name.
        config_file: The config file to read back, such as `inlist_project`: its settings become
            columns.
        remote: The cluster that still has the run directories, so that a collect can fetch more.
        sweep_file: The file in the repository that has these sweeps, or will.
        output: The output folder.
        plugins: Modules and objects with hooks that read configs, as for `collect`.

    Returns:
        The results of each sweep, by its name.

    Raises:
        RecordError: A pickle contains more than plain data, or a file cannot be written.
        RemexError: There are no runs, or the repository cannot be used.

    Example:
        >>> import_runs("runs/", repo=Repo("."), sweeps="batches/", config_file="inlist_project")

    """
    target = Path(output).expanduser().absolute()
    source, options = Path(folder).expanduser().absolute(), ImportOptions(tuple(fetch), config_file)
    found = read_runs(source, options)
    if not found:
        raise RemexError(f"{folder} has no run directories or files named <branch>_<name>_time_...")
    git, hooks = Git(repo.path), GuardedHooks(hooks_of(plugins), warnings.warn)
    groups = list(pickled_sweeps(_pickles(sweeps), found, options))
    taken = {run.directory for group in groups for _, run in group.runs}
    rest = [run for run in found.values() if run.directory not in taken]
    groups += sweeps_by_name(rest, git, options, hooks.relay)
    prepare_output_folder(target)
    place = _Place(target, git, remote or Remote(None, "", str(source)), sweep_file)
    new = [each for group in groups for each in _imported(group, place)]
    publish(_rows(new, target / "runs", hooks), PublishOptions(target), hooks)
    from pytest_remex.tables import frame  # noqa: PLC0415 - pandas takes half a second

    swept = dict.fromkeys(group.sweep.name for group in groups)
    return {name: frame.results(results_folder(target, name, None)) for name in swept}


@dataclass(frozen=True, slots=True)
class _Place:
    """The destination and the origin of imported runs."""

    output: Path
    git: Git
    remote: Remote
    sweep_file: str


def _pickles(given: str | Path | Iterable[str | Path]) -> Iterator[Path]:
    for each in [given] if isinstance(given, str | Path) else given:
        path = Path(each).expanduser()
        yield from sorted(path.glob("*.pkl")) if path.is_dir() else [path]


def _imported(group: OldSweep, place: _Place) -> Iterator[WantedRun]:
    """Record the runs of a sweep, a launch for each base; yield those that are new."""
    base = _base_of(group, place.git)
    wanted = {id(run): Wanted(run.sha, run.when, group.base) for _, run in group.runs}
    commits = find_commits(place.git, wanted.values())
    by_base: dict[str, list[RunRecord]] = {}
    sources: dict[str, OldRun] = {}
    for number, (point, run) in enumerate(group.runs):
        commit = commits.get(wanted[id(run)]) or _gone(run, number, base)
        by_base.setdefault(commit.base, []).append(_run_record(group, point, run, commit, place))
        sources[run.directory] = run
    for number, (sha, runs) in enumerate(by_base.items()):
        record = _recorded(group, sha, number, runs, place)
        kept = [each.commit for each in record.runs.values() if each.commit.tree]
        if kept:
            keep_commits(place.git, names.keep_ref(record.launch.id), kept, record.launch.token)
        for each in record.runs.values():
            _take(each, sources[each.directory], place)
            yield WantedRun(RecordedRun(record, each), group.sweep)


def _gone(run: OldRun, number: int, base: str) -> Commit:
    """Return a commit that the repository does not have: of its id only the beginning is known."""
    return Commit(f"{run.sha}{number:0{_SHA - len(run.sha)}d}"[:_SHA], "", base)


def _base_of(group: OldSweep, git: Git) -> str:
    """Return a sweep's base commit; what is known of its id if the repository does not have it."""
    try:
        return git.resolve(group.base or "-")
    except RepositoryError:
        return group.base.ljust(_SHA, "0")


def _run_record(
    group: OldSweep, point: Config, run: OldRun, commit: Commit, place: _Place
) -> RunRecord:
    named = point_id(group.sweep, point)
    return RunRecord(
        node=f"{place.sweep_file}::{group.sweep.name}" + (f"[{named}]" if named else ""),
        id=named,
        point=point,
        parameters={},
        commit=commit,
        directory=run.directory,
        header=run.header,
        stage=Stage.RELEASED,
        job=run.job,
        final=Job(run.job, JobState.COMPLETED, ENDED, source="record"),
    )


def _recorded(
    group: OldSweep, base: str, number: int, runs: Sequence[RunRecord], place: _Place
) -> LaunchRecord:
    """Write runs that a launch record does not have yet; return the record with only these."""
    launches, sweep = place.output / "launches", group.sweep
    about = f"{sweep.branch}\n{sweep.name}\n{group.when}\n{base}"
    token = hashlib.sha256(about.encode()).hexdigest()[:16]
    when = group.when + timedelta(seconds=number)
    while True:
        identifier = names.launch_id(sweep.name, when)
        path = record_path(launches, identifier)
        known = read_record(path) if path.exists() else None
        if known is None or known.launch.token == token:
            break
        when += timedelta(seconds=1)
    launch = Launch(
        id=identifier,
        token=token,
        name=sweep.name,
        branch=sweep.branch,
        base=base,
        base_config=sweep.base_config,
        fetch=sweep.fetch,
        config_files=sweep.config_files,
        remote=place.remote,
        by=whoami(),
    )
    here = {each.directory for each in known.runs.values()} if known else set()
    new = {each.commit.sha: each for each in runs if each.directory not in here}
    with closing(Journal.resume(known) if known else Journal.begin(launches, launch)) as journal:
        journal.write(event for run in new.values() for event in _events(run))
    return LaunchRecord(launch, new, path)


def _events(run: RunRecord) -> Iterator[Event]:
    yield from introduction(run)
    if run.final is not None:
        yield Ended(run.commit.sha, run.final)
    yield Collected(whoami(), today(), {run.commit.sha: run.job})


def _take(run: RunRecord, source: OldRun, place: _Place) -> None:
    """Link or copy a run's files into the folder of its outputs, with the note of a collect."""
    folder = place.output / "runs" / run.directory
    files = {}
    for name, path in source.files.items():
        target, status = folder / name, path.stat()
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                _link_or_copy(path, target)
        files[name] = (status.st_size, status.st_mtime_ns)
    gone = place.remote.host is None and not Path(place.remote.runs, run.directory).is_dir()
    write_outputs(folder, FetchedOutputs(files=files, job=run.job, complete=True, gone=gone))


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:  # another disk, or one without links
        shutil.copy2(path, target)


def _rows(new: Sequence[WantedRun], folder: Path, hooks: GuardedHooks) -> list[JudgedRun]:
    """Return a row for each run, with the settings that its config file has."""
    return [_row(each, hooks) for each in collect_offline(new, folder)]


def _row(collected: CollectedRun, hooks: GuardedHooks) -> JudgedRun:
    config = read_back_config(collected.folder, collected.sweep, hooks.relay)
    settings = settings_in(config)
    point = collected.run.point
    measures = {name: value for name, value in settings.items() if name not in point}
    return JudgedRun(collected.run.node, {}, collected, reason=ENDED, measures=measures)
