"""Submit and collect from scripts and notebooks, without pytest.

    from pytest_remex import Remote, Repo
    from pytest_remex.scripting import collect, submit

    submit("sweeps.py", repo=Repo("."), remote=Remote("cluster", "~/clone", "~/runs"))
    tams = collect("sweeps.py", names=["tams"])["tams"]

Both do the same as `pytest --remex-submit` and `--remex-collect`, with the same runs. A run that
failed, or whose check failed, has a row with the verdict FAILED and the reason; a job that has not
ended has a row with its state; a point that was not submitted has no row.

Hooks must be passed as `plugins`: the project's conftest, an extension. For MESA:

    from pytest_remex.extensions.mesa.plugin import MesaHooks

    collect("sweeps.py", plugins=[MesaHooks()])

Sweeps that need pytest, because they use other fixtures or have marks, are refused. A plain
`assert` has no values in its message here: pytest adds those.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_remex.collect.fetch import FetchOptions, fetch_outputs
from pytest_remex.collect.judge import JudgedRun, RunFailedError, RunJudge, RunPendingError
from pytest_remex.collect.manifest import check_digest
from pytest_remex.collect.runs import (
    CollectedRun,
    WantedRun,
    collect_offline,
    collect_with_upstreams,
)
from pytest_remex.collect.sync import sync
from pytest_remex.display import ask_at_terminal, show_nothing
from pytest_remex.errors import RemexError, SweepError, first_line
from pytest_remex.hooks import GuardedHooks
from pytest_remex.io import prepare_output_folder
from pytest_remex.launch.candidate import Candidate, FailedProbe, State, unjudged_text
from pytest_remex.launch.listener import QuietListener
from pytest_remex.launch.options import Folders, LaunchOptions, Resubmit
from pytest_remex.launch.preparation import SweepCalls, SweepPoint
from pytest_remex.launch.retry import probe_of
from pytest_remex.launch.submitter import Submitter
from pytest_remex.model import Config, Remote, Repo, Scalar, Sweep
from pytest_remex.records.added import added_to, points_with_added
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.repo.workspace import Prepared, Workspace, Workspaces
from pytest_remex.sweep import expand, sweep_of
from pytest_remex.sweep_file import SweepFiles, call_of, experiment_at, sweep_functions
from pytest_remex.tables.publish import Published, publish
from pytest_remex.tables.readers import hooks_of
from pytest_remex.tables.rows import PublishOptions
from pytest_remex.tables.stored import RecordedRows, UpstreamMeasures, with_absolute_paths
from pytest_remex.transport.connection import Connect, connect
from pytest_remex.transport.connections import Connections
from pytest_remex.variant import GRID

if TYPE_CHECKING:
    import pandas as pd
    import pluggy

    from pytest_remex.hookspecs import ContinueProbe
    from pytest_remex.sweep_file import SweepFunction

__all__ = ["SubmittedJob", "collect", "submit"]


CONFIRM = 1000
"""The most jobs that are submitted without `yes`: the default of remex_confirm."""
CONFIRM_BYTES = 10 * 1000**3
"""The most bytes that are fetched without `yes`: the default of remex_confirm_bytes."""


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """An experiment that has a job.

    Args:
        node: The experiment's node id.
        point: The values of the parameters that vary.
        job: The job's id.
        launch: The id of the launch that submitted it.
        new: Whether this call submitted it.

    """

    node: str
    point: Config
    job: str
    launch: str
    new: bool


def submit(  # noqa: PLR0913 - the contract with users
    sweep_file: str | Path,
    *,
    repo: Repo,
    remote: Remote,
    output: str | Path = "remex-output",
    names: Iterable[str] | None = None,
    yes: bool = False,
    new_base: bool = False,
    note: str = "",
    retry: Literal["", "failed", "check"] = "",
    plugins: Iterable[object] = (),
) -> list[SubmittedJob]:
    """Submit the experiments of a sweep file, as `pytest --remex-submit` does, without pytest.

    Submitting twice is safe: an experiment that already has a run does not get another one, unless
    `retry` asks for it. Sweep functions can have the arguments `experiment`, `repo` and `remote`;
    conftest.py is not read.

    Args:
        sweep_file: The file that defines the sweeps, as module-level functions.
        repo: The repository that the experiments are made from.
        remote: Where they run.
        output: The output folder, for launch records.
        names: The sweeps to submit; None for all in the file.
        yes: Allow more than 1,000 jobs.
        new_base: Also submit experiments that have a run on another base, if inputs have changed
            since; otherwise the job of that run is returned, with a warning.
        note: The reason for the launch; stored in the launch record, the results and the report.
        retry: Also submit again what `--remex-retry` would: with `failed`, experiments whose job
            failed, by the sweep's next recipe if it has several; with `check`, also those that
            completed and failed their check in the last collect.
        plugins: Modules and objects with `pytest_remex_*` hooks, which are told of the jobs, and
            say how runs continue whose job was ended early; without them those start over.

    Returns:
        The jobs, in the order of the file and of each sweep's grid.

    Raises:
        SweepError: A sweep or an argument cannot be used as written, or a sweep is not in the file.
        RemexError: An experiment could not be submitted; earlier ones may have been. Call it again
            for the others.

    Example:
        >>> submit("sweeps.py", repo=Repo("."), remote=Remote(None, runs="~/runs"))
    """
    path, folder = Path(sweep_file).absolute(), Path(output).expanduser().absolute()
    resubmit = _resubmit(retry)
    hooks = GuardedHooks(hooks_of(plugins), _warn)
    with sweep_functions(path, names, complete=True) as functions:
        sweeps = [(function, sweep) for function in functions if (sweep := sweep_of(function))]
        points = [SweepPoint(f, sweep, point) for f, sweep in sweeps for point in expand(sweep)]
        prepare_output_folder(folder)
        options = LaunchOptions(
            resubmit=resubmit, confirm=None if yes else CONFIRM, new_base=new_base, note=note
        )
        with _submitter(repo, folder, options, hooks) as (submitter, workspaces):
            for fault in submitter.known.read(repo, remote):
                _warn(fault)
            submitter.expect(len(points))
            scripts = [sweep.script for _, sweep in sweeps]
            calls = SweepCalls(path, repo, remote, scripts, workspaces, _warn)
            candidates: list[Candidate] = []
            for each in points:
                candidates.append(_add(each, calls, submitter, hooks.relay if retry else None))
                submitter.advance(last=False)
            submitter.advance(last=True)
        for message in submitter.queue.moved():
            _warn(message)
        if unjudged := submitter.queue.count(State.UNJUDGED):
            _warn(unjudged_text(unjudged))
    _raise_for_failed(submitter, candidates)
    return [_job(each) for each in candidates]


def collect(  # noqa: PLR0913 - the contract with users
    sweep_file: str | Path,
    *,
    repo: Repo | None = None,
    remote: Remote | None = None,
    output: str | Path = "remex-output",
    names: Iterable[str] | None = None,
    offline: bool = False,
    max_file: int | None = None,
    yes: bool = False,
    plugins: Iterable[object] = (),
) -> dict[str, pd.DataFrame]:
    """Fetch and judge the newest runs of a file's sweeps, publish and return their results.

    Args:
        sweep_file: The file that defines the sweeps, as module-level functions.
        repo: The user's repository; None for that of the working directory.
        remote: Where the runs are, with the current `shell`; None to use what was recorded.
        output: The output folder.
        names: The names of the sweeps to collect; None for all in the file.
        offline: Make no connection; judge the outputs on this machine.
        max_file: Leave larger outputs, in bytes, on the cluster; None for no limit.
        yes: Allow more than 10 GB to be fetched.
        plugins: Modules and objects with `pytest_remex_*` hooks.

    Returns:
        For each sweep, by name, a DataFrame like that of `pytest_remex.results`.

    Raises:
        RemexError: The file or a sweep cannot be used, a sweep was never submitted, a cluster
            cannot be reached, or the results cannot be written.

    Example:
        >>> collect("sweeps.py", remote=Remote("me@cluster", "~/star", "~/runs"))["tams"].age.max()
        11524000.0

    """
    folder, repo = Path(output).expanduser().absolute(), repo or Repo(".")
    hooks = GuardedHooks(hooks_of(plugins), _warn)
    with sweep_functions(Path(sweep_file), names) as functions, ExitStack() as stack:
        connection_to = functools.cache(lambda there: stack.enter_context(connect(there)))
        workspaces = stack.enter_context(closing(Workspaces(kept=False)))
        launches = folder / "launches"
        if remote is not None and not offline:
            sync(connection_to(remote), launches, _warn)
        has = workspaces.git(repo).has
        index = RunIndex.read(launches, [remote] if remote else [], has)
        submitted = _find_runs(functions, index, remote)
        runs = [WantedRun(each.recorded, each.sweep) for each in submitted]
        options = FetchOptions(largest=max_file, most=None if yes else CONFIRM_BYTES)
        connect_to = None if offline else connection_to
        fetch = functools.partial(_collect, folder / "runs", connect_to, options)
        collected, _ = collect_with_upstreams(runs, index, fetch)
        place = _Place(repo, remote, workspaces, hooks, RecordedRows(folder, None, _warn))
        judged: list[JudgedRun] = []
        measures = UpstreamMeasures(folder)
        for one in zip(submitted, collected, strict=True):
            judged.append(_judge(*one, place, measures.of(one[1].upstream)))
            measures.add(judged[-1])
        added = added_to(((each.sweep, GRID) for each in submitted), index.newest_first())
        files = SweepFiles(repo.path.resolve())
        publishing = PublishOptions(folder, added=added, has=lambda _, node: files.have(node))
        return {each.sweep: _frame(each) for each in publish(judged, publishing, hooks)}


@contextmanager
def _submitter(
    repo: Repo, output: Path, options: LaunchOptions, hooks: GuardedHooks
) -> Iterator[tuple[Submitter, Workspaces]]:
    workspaces = Workspaces(kept=True)
    connections = Connections(ask_at_terminal, _warn)
    folders = Folders(output / "launches", output / "runs", repo.path.resolve())
    submitter = Submitter(workspaces, connections, folders, options, QuietListener(hooks))
    try:
        yield submitter, workspaces
    finally:
        for text in submitter.close():
            _warn(text)


def _add(
    at: SweepPoint, calls: SweepCalls, submitter: Submitter, hooks: pluggy.HookRelay | None
) -> Candidate:
    """Prepare an experiment and add it to the batch; `hooks` are asked how runs are continued."""
    probes: list[ContinueProbe | FailedProbe] = []

    def look(prepared: Prepared, _originals: Mapping[str, bytes]) -> None:
        if hooks is not None and (probe := probe_of(hooks, prepared.experiment)):
            probes.append(probe)

    prepared = calls.prepare(at, look)
    last = submitter.known.recipe_of(prepared) if hooks is not None else None
    recipes = calls.for_retry(prepared, at, last)
    return submitter.queue.add(prepared, next(iter(probes), None), recipes)


def _resubmit(retry: str) -> Resubmit:
    if retry not in {"", Resubmit.FAILED, Resubmit.CHECK}:
        raise SweepError(f"retry={retry!r} is not known: write 'failed' or 'check'")
    return Resubmit(retry) if retry else Resubmit.NEVER


def _raise_for_failed(submitter: Submitter, candidates: Sequence[Candidate]) -> None:
    if submitter.fault is not None:
        raise submitter.fault
    wrong = {State.NOT_SUBMITTED, State.UNKNOWN, State.UPSTREAM_FAILED}
    failed = [each for each in candidates if each.outcome.state in wrong]
    if failed:
        first = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise RemexError(f"{first.prepared.node}{more}: {first.outcome.why}")


def _job(candidate: Candidate) -> SubmittedJob:
    prepared, outcome = candidate.prepared, candidate.outcome
    return SubmittedJob(
        node=prepared.node,
        point=prepared.experiment.point,
        job=outcome.job,
        launch=outcome.launch,
        new=outcome.state is State.SUBMITTED,
    )


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)


@dataclass(frozen=True, slots=True)
class _Submitted:
    """An experiment that has a run, and its sweep function."""

    function: SweepFunction
    sweep: Sweep
    point: Config
    recorded: RecordedRun


@dataclass(frozen=True, slots=True)
class _Place:
    """What judging needs for all experiments."""

    repo: Repo
    remote: Remote | None
    workspaces: Workspaces
    hooks: GuardedHooks
    recorded: RecordedRows


def _find_runs(
    functions: Iterable[SweepFunction], index: RunIndex, remote: Remote | None
) -> list[_Submitted]:
    """Return the newest runs of sweeps, reached as the remote is, if one was chosen."""
    found: list[_Submitted] = []
    known = [each for each in index.newest_first() if each.is_of(GRID)]
    for function in functions:
        sweep = sweep_of(function) or Sweep("")
        runs = [
            _Submitted(function, sweep, point, recorded.reached_as(remote) if remote else recorded)
            for point in points_with_added(sweep, known)
            if (recorded := next(index.of_sweep(sweep.name, point), None))
        ]
        if not runs:
            raise RemexError(
                f"sweep {sweep.name} has not been submitted: use submit(...) or pytest "
                f"--remex-submit"
            )
        found += runs
    return found


def _collect(
    folder: Path, connect_to: Connect | None, options: FetchOptions, runs: Sequence[WantedRun]
) -> list[CollectedRun]:
    if connect_to is None:
        return collect_offline(runs, folder)
    return fetch_outputs(runs, connect_to, folder, show_nothing, options)


def _judge(
    submitted: _Submitted, collected: CollectedRun, place: _Place, before: Mapping[str, Scalar]
) -> JudgedRun:
    run = collected.run
    check = check_digest(submitted.function)
    begun = JudgedRun(run.node, run.parameters, collected, before=before, check=check)
    judge = RunJudge(begun, place.recorded.keep)
    try:
        judge.check_job()
    except RunPendingError as pending:
        judge.conclude("skipped", first_line(pending))
    except RunFailedError as failure:
        judge.conclude("failed", first_line(failure))
    else:
        workspace = place.workspaces.at(place.repo, collected.launch.base)
        _check(judge, submitted, workspace, place)
    return judge.result


def _check(judge: RunJudge, submitted: _Submitted, workspace: Workspace, place: _Place) -> None:
    sweep, point, launch = submitted.sweep, submitted.point, judge.collected.launch
    remote = place.remote or launch.remote
    recipe = judge.collected.run.recipe
    experiment = experiment_at(sweep, point, workspace.scratch.checkout(), recipe)
    call = call_of(submitted.function, experiment, place.repo, remote)
    try:
        judge.check(experiment, call, workspace, place.hooks)
    except Exception as error:  # noqa: BLE001 - what a check raises is its verdict
        judge.conclude("failed", first_line(error), error)
    else:
        judge.conclude("passed", "")
    finally:
        workspace.scratch.restore()


def _frame(published: Published) -> pd.DataFrame:
    from pytest_remex.tables import frame  # noqa: PLC0415 - pandas takes half a second

    if published.table is None:
        return frame.results(published.folder)
    return frame.frame(with_absolute_paths(published.table, published.folder))
