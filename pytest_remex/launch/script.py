"""Submits the sweeps of a file from a script or a notebook, without pytest."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pytest_remex.collect.pipeline import CollectedRun
from pytest_remex.errors import RemexError, SweepError
from pytest_remex.interaction import Progress, ask_at_terminal, show_nothing
from pytest_remex.io import prepare_output_folder
from pytest_remex.launch.options import LaunchOptions
from pytest_remex.launch.outcomes import Candidate, State
from pytest_remex.launch.preparation import prepare, run_patch, warnings_of
from pytest_remex.launch.submitter import Folders, Submitter
from pytest_remex.model import Config, Experiment, Remote, Repo, Sweep
from pytest_remex.repo.workspace import Prepared, Workspaces
from pytest_remex.sweep import SweepCall, expand, point_id, sweep_of
from pytest_remex.transport import Connections

CONFIRM = 1000
"""The most jobs that are sent without `yes`, as remex_confirm is by default."""


@dataclass(frozen=True, slots=True)
class SubmittedJob:
    """An experiment that has a job; `new` says that this call submitted it."""

    node: str
    point: Config
    job: str
    launch: str
    new: bool


@dataclass(frozen=True, slots=True)
class _Point:
    """A point of a sweep's grid, with the function that patches it."""

    function: Callable[..., object]
    sweep: Sweep
    values: Config
    node: str


def submit(  # noqa: PLR0913 - the contract with users
    path: str | Path,
    *,
    repo: Repo,
    remote: Remote,
    output: str | Path = "remex-output",
    names: Sequence[str] | None = None,
    yes: bool = False,
) -> list[SubmittedJob]:
    """Submit the experiments of a sweep file, as `pytest --remex-submit` does, without pytest.

    Submitting twice is safe: an experiment that has a run already gets no other. Sweep functions
    may ask for `experiment`, `repo` and `remote`; what a conftest.py holds is not read.

    Args:
        path: The file whose functions are decorated with `@sweep`.
        repo: The repository that the experiments are made from.
        remote: Where they run.
        output: The folder for launch records.
        names: The sweeps to submit; None for all in the file.
        yes: Submit also more than 1,000 jobs.

    Returns:
        The jobs, in the order of the file and of each sweep's grid.

    Raises:
        SweepError: Where a sweep cannot be used as written, or there is none of a name.
        RemexError: Where an experiment could not be submitted; those before it may have been.
            Run the same call again for the others.

    Example:
        >>> submit("sweeps.py", repo=Repo("."), remote=Remote(None, runs="~/runs"))
    """
    path, output = Path(path).absolute(), Path(output).absolute()
    points = _points(path, repo, names)
    prepare_output_folder(output)
    with _submitter(output, yes=yes) as (submitter, workspaces):
        submitter.expect(len(points))
        candidates: list[Candidate] = []
        for each in points:
            prepared = _prepared(each, repo, remote, workspaces)
            candidates.append(submitter.add(prepared, repo, remote))
            submitter.advance(last=False)
        submitter.advance(last=True)
    _raise_for_failed(submitter, candidates)
    return [_job(each) for each in candidates]


class _Quiet:
    """The listener of a script: it shows nothing, and stops where Ctrl-C came."""

    def __init__(self) -> None:
        self._interrupted = False

    def progress(self) -> AbstractContextManager[Progress]:
        return nullcontext(show_nothing)

    def interrupted(self) -> None:
        self._interrupted = True

    def goes_on(self) -> bool:
        if self._interrupted:
            raise KeyboardInterrupt
        return True

    def continuation(self, _collected: CollectedRun, _experiment: Experiment) -> None:
        return None

    def submitted(self, launch: str, jobs: Mapping[str, str]) -> None:
        pass


@contextmanager
def _submitter(output: Path, *, yes: bool) -> Iterator[tuple[Submitter, Workspaces]]:
    workspaces = Workspaces(kept=True)
    connections = Connections(ask_at_terminal, _warn)
    folders = Folders(output / "launches", output / "runs")
    options = LaunchOptions(confirm=None if yes else CONFIRM)
    submitter = Submitter(workspaces, connections, folders, options, _Quiet())
    try:
        yield submitter, workspaces
    finally:
        for text in submitter.close():
            _warn(text)


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SweepError(f"{path} is not a Python file: name the file that holds the sweeps")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # as pytest does: a sweep file may import its neighbours
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module


def _points(path: Path, repo: Repo, names: Sequence[str] | None) -> list[_Point]:
    """Return the points of the sweeps named, or of all in the file."""
    functions = [member for member in vars(_load(path)).values() if callable(member)]
    found = [(function, plan) for function in functions if (plan := sweep_of(function))]
    known = [plan.name for _, plan in found]
    for name in names or ():
        if name not in known:
            there = ", ".join(known) or "none"
            raise SweepError(f"no sweep {name!r} in {path}: there is {there}")
    return [
        _Point(function, plan, point, _node(path, repo, function, point))
        for function, plan in found
        if names is None or plan.name in names
        for point in expand(plan)
    ]


def _node(path: Path, repo: Repo, function: Callable[..., object], point: Config) -> str:
    """Return the node ID that pytest gives where its rootdir is the repository."""
    top, file = repo.path.resolve(), path.resolve()
    shown = file.relative_to(top).as_posix() if file.is_relative_to(top) else path.name
    title = f"[{point_id(point)}]" if point else ""
    return f"{shown}::{getattr(function, '__name__', '')}{title}"


def _prepared(point: _Point, repo: Repo, remote: Remote, workspaces: Workspaces) -> Prepared:
    workspace = workspaces.at(repo, point.sweep.branch)
    config = {**point.sweep.base_config, **point.values}
    checkout = workspace.scratch.checkout()
    experiment = Experiment(point.sweep, point_id(point.values), point.values, config, checkout)
    known = {"experiment": experiment, "repo": repo, "remote": remote}
    wanted = inspect.signature(point.function).parameters
    if unknown := [name for name in wanted if name not in known]:
        raise SweepError(
            f"{point.node} asks for {', '.join(unknown)}: without pytest a sweep function gets "
            f"experiment, repo and remote; submit it with pytest --remex-submit"
        )
    arguments = {name: known[name] for name in wanted}
    body = SweepCall(lambda: point.function(**arguments), point.sweep.name)
    try:
        run_patch(body, checkout)
        body.close()
        prepared = prepare(point.node, experiment, {}, workspace)
    finally:
        workspace.scratch.restore()
    for warning in warnings_of(workspaces.git(repo), prepared):
        _warn(warning.text)
    return prepared


def _raise_for_failed(submitter: Submitter, candidates: Sequence[Candidate]) -> None:
    if submitter.fault is not None:
        raise submitter.fault
    failed = [
        each for each in candidates if each.outcome.state in {State.NOT_SUBMITTED, State.UNKNOWN}
    ]
    if failed:
        first = failed[0]
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise RemexError(f"{first.request.prepared.node}{more}: {first.outcome.why}")


def _job(candidate: Candidate) -> SubmittedJob:
    prepared, outcome = candidate.request.prepared, candidate.outcome
    return SubmittedJob(
        node=prepared.node,
        point=prepared.experiment.point,
        job=outcome.job,
        launch=outcome.launch,
        new=outcome.state is State.SUBMITTED,
    )


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)
