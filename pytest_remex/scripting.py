"""Collecting from scripts and notebooks: the engines of the modes, without pytest.

    from pytest_remex.scripting import collect

    tams = collect("sweeps.py", names=["tams"])["tams"]

As `pytest --remex-collect` does, this writes results, links and report into the output folder. A
run that failed, or whose check failed, is a row with the verdict FAILED and the reason; a job that
has not ended is a row with its state; a point that was not submitted has no row.

Hooks come from what is passed as `plugins`: the project's conftest, an extension. For MESA:

    from pytest_remex.extensions.mesa.plugin import MesaHooks

    collect("sweeps.py", plugins=[MesaHooks()])

What only pytest can do is refused, not guessed: sweeps that ask for fixtures of their own, or that
carry marks. A plain `assert` gives no values in its message here: pytest adds those.
"""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_remex.collect import pipeline
from pytest_remex.collect.hooks import GuardedHooks
from pytest_remex.collect.judge import JudgedRun, RunFailedError, RunJudge, RunPendingError
from pytest_remex.collect.pipeline import CollectedRun, WantedRun
from pytest_remex.errors import RemexError, SweepError
from pytest_remex.interaction import show_nothing
from pytest_remex.launch.script import SubmittedJob, submit
from pytest_remex.model import Config, Experiment, Remote, Repo, Sweep
from pytest_remex.records.index import RecordedRun, RunIndex
from pytest_remex.repo.workspace import Workspace, Workspaces
from pytest_remex.sweep import SweepCall, expand, point_id, sweep_of
from pytest_remex.tables.hooks import hooks_of
from pytest_remex.tables.publish import Published, Target, publish
from pytest_remex.transport import connect

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd

__all__ = ["SubmittedJob", "collect", "submit"]


def collect(  # noqa: PLR0913 - the contract with users
    sweep_file: str | Path,
    *,
    repo: Repo | None = None,
    remote: Remote | None = None,
    output: str | Path = "remex-output",
    names: Iterable[str] | None = None,
    offline: bool = False,
    plugins: Iterable[object] = (),
) -> dict[str, pd.DataFrame]:
    """Fetch and judge the newest runs of a file's sweeps, publish and return their results.

    Args:
        sweep_file: The file that defines the sweeps, as module-level functions.
        repo: The user's repository; None for that of the working directory.
        remote: Where the runs are, with today's `shell`; None for what was recorded.
        output: The output folder.
        names: The sweeps to collect, by name; None for all in the file.
        offline: Make no connection; judge what is on this machine.
        plugins: Modules and objects with `pytest_remex_*` hooks.

    Returns:
        For each sweep, by name, a DataFrame as `pytest_remex.results` returns it.

    Raises:
        RemexError: The file or a sweep cannot be used, a sweep was never submitted, a cluster
            cannot be reached, or the results cannot be written.

    """
    folder = Path(output).expanduser().absolute()
    hooks = GuardedHooks(hooks_of(plugins), _warn)
    with _sweeps(Path(sweep_file), names) as functions, ExitStack() as stack:
        submitted = _find_runs(functions, RunIndex.read(folder / "launches"))
        runs = [WantedRun(_reached_by(remote, each.recorded), each.sweep) for each in submitted]
        collected = _collect(runs, folder / "runs", stack, offline=offline)
        workspaces = stack.enter_context(closing(Workspaces(kept=False)))
        place = _Place(repo or Repo("."), remote, workspaces, hooks)
        judged = [_judge(*each, place) for each in zip(submitted, collected, strict=True)]
        return {each.sweep: _frame(each) for each in publish(judged, Target(folder), hooks)}


@dataclass(frozen=True, slots=True)
class _Submitted:
    """An experiment that has a run, and the sweep function that makes and checks it."""

    function: Callable[..., object]
    sweep: Sweep
    point: Config
    recorded: RecordedRun


@dataclass(frozen=True, slots=True)
class _Place:
    """What all experiments are judged with."""

    repo: Repo
    remote: Remote | None
    workspaces: Workspaces
    hooks: GuardedHooks


@contextmanager
def _sweeps(
    path: Path, names: Iterable[str] | None
) -> Iterator[Mapping[str, Callable[..., object]]]:
    """Yield a file's sweep functions by the sweeps' names; its folder can be imported from."""
    folder = str(path.absolute().parent)
    before = list(sys.path)
    sys.path.insert(0, folder)
    try:
        functions = {
            sweep.name: value
            for value in vars(_imported(path)).values()
            if (sweep := sweep_of(value)) is not None
        }
        wanted = list(functions) if names is None else list(names)
        for name in wanted:
            if name not in functions:
                known = ", ".join(functions) or "none"
                raise SweepError(f"{path} has no sweep {name!r}: its sweeps are {known}")
            _refuse_pytest(name, functions[name])
        yield {name: functions[name] for name in wanted}
    finally:
        sys.path[:] = before


def _imported(path: Path) -> ModuleType:
    spec = spec_from_file_location(f"remex_sweeps_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SweepError(f"{path} is not a Python file: name the file with the sweeps")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses in the file look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise SweepError(f"{path} cannot be imported ({_line(error)}): correct it") from error
    return module


_GIVEN = ("experiment", "repo", "remote")


def _refuse_pytest(name: str, function: Callable[..., object]) -> None:
    """Refuse a sweep that only pytest can call as it is meant."""
    instead = "collect it with pytest --remex-collect"
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in _GIVEN and parameter.default is inspect.Parameter.empty:
            raise SweepError(
                f"sweep {name} asks for the fixture {parameter.name!r}, which only pytest has: "
                f"{instead}"
            )
    marks = [str(mark.name) for mark in getattr(function, "pytestmark", ())]
    if marks:
        raise SweepError(f"sweep {name} is marked {', '.join(marks)}: {instead}")


def _find_runs(functions: Mapping[str, Callable[..., object]], index: RunIndex) -> list[_Submitted]:
    found: list[_Submitted] = []
    for name, function in functions.items():
        sweep = sweep_of(function)
        points = expand(sweep) if sweep else []
        runs = [
            _Submitted(function, sweep, point, recorded)
            for point in points
            if sweep and (recorded := index.newest_of_sweep(name, point))
        ]
        if not runs:
            raise RemexError(f"sweep {name} was not submitted: pytest --remex-submit submits it")
        found += runs
    return found


def _reached_by(remote: Remote | None, recorded: RecordedRun) -> RecordedRun:
    there = recorded.launch.remote
    if remote is None or remote.host != there.host:
        return recorded
    launch = replace(recorded.launch, remote=replace(there, shell=remote.shell))
    return RecordedRun(replace(recorded.record, launch=launch), recorded.run)


def _collect(
    runs: Sequence[WantedRun], folder: Path, stack: ExitStack, *, offline: bool
) -> list[CollectedRun]:
    if offline:
        return pipeline.collect_offline(runs, folder)
    connection_to = functools.cache(lambda remote: stack.enter_context(connect(remote)))
    return pipeline.collect(runs, connection_to, folder, show_nothing)


def _judge(submitted: _Submitted, collected: CollectedRun, place: _Place) -> JudgedRun:
    judge = RunJudge(collected.run.node, collected.run.parameters, collected)
    try:
        judge.check_job()
    except RunPendingError as pending:
        judge.conclude("skipped", _line(pending))
    except RunFailedError as failure:
        judge.conclude("failed", _line(failure))
    else:
        workspace = place.workspaces.at(place.repo, collected.launch.base)
        _check(judge, submitted, workspace, place)
    return judge.result


def _check(judge: RunJudge, submitted: _Submitted, workspace: Workspace, place: _Place) -> None:
    sweep, point, launch = submitted.sweep, submitted.point, judge.collected.launch
    path = workspace.scratch.checkout()
    experiment = Experiment(sweep, point_id(point), point, {**sweep.base_config, **point}, path)
    given = {
        "experiment": experiment,
        "repo": place.repo,
        "remote": place.remote or launch.remote,
    }
    wanted = inspect.signature(submitted.function).parameters
    arguments = {name: value for name, value in given.items() if name in wanted}
    call = SweepCall(lambda: submitted.function(**arguments), sweep.name)
    try:
        judge.check(experiment, call, workspace, place.hooks)
    except Exception as error:  # noqa: BLE001 - what a check raises is its verdict
        judge.conclude("failed", _line(error), error)
    else:
        judge.conclude("passed", "")
    finally:
        workspace.scratch.restore()


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _line(error: BaseException) -> str:
    """Return one line that says what went wrong."""
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, RemexError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _frame(published: Published) -> pd.DataFrame:
    from pytest_remex.tables import frame  # noqa: PLC0415 - pandas takes half a second

    if published.table is None:
        return frame.results(published.folder)
    return frame.frame(frame.with_absolute_paths(published.table, published.folder))
