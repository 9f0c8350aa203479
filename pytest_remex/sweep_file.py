"""Sweep files without pytest: import one, and call its sweep functions from a script."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pytest_remex.errors import SweepError, first_line
from pytest_remex.experiment import Experiment, as_written, config_at
from pytest_remex.model import Config, Remote, Repo, Sweep
from pytest_remex.names import function_of, point_id
from pytest_remex.sweep import SweepCall, has_yield, sweep_of, upstream_at

if TYPE_CHECKING:
    from types import ModuleType

SweepFunction: TypeAlias = Callable[..., object]

GIVEN = ("experiment", "repo", "remote")
"""The arguments that a sweep function can have without pytest."""
_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
LARGEST = 4 << 20
"""The most bytes of a sweep file."""


class SweepFiles:
    """The Python files below a folder, read without importing them."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._names: dict[str, frozenset[str]] = {}

    def have(self, node: str) -> bool:
        """Return whether a file still has the function in a record's node id, and its class."""
        file, _, name = function_of(node).partition("::")
        if file not in self._names:
            self._names[file] = self._read(file)
        return self._names[file].issuperset(name.split("::"))

    def _read(self, file: str) -> frozenset[str]:
        path = self._top / file
        if ".." in path.parts or not path.is_relative_to(self._top) or path.suffix != ".py":
            return frozenset()
        try:
            if not path.is_file() or path.stat().st_size > LARGEST:
                return frozenset()
            tree = ast.parse(path.read_bytes())
        except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
            return frozenset()
        imported = (each for each in ast.walk(tree) if isinstance(each, ast.alias))
        return frozenset(
            [
                *(each.name for each in ast.walk(tree) if isinstance(each, _DEFINED)),
                *(each.asname or each.name for each in imported),
            ]
        )


@contextmanager
def sweep_functions(
    path: Path, names: Iterable[str] | None, *, complete: bool = False
) -> Iterator[list[SweepFunction]]:
    """Yield the sweep functions of a file; its folder can be imported from meanwhile.

    Args:
        path: The file that defines the sweeps, as module-level functions.
        names: The sweeps wanted, by name; None for all in the file.
        complete: Yield also the sweeps that these come after, each before them.

    Raises:
        SweepError: The file cannot be imported, Python removes its assertions, it has no sweep of a
            name, or a sweep needs pytest because it uses other fixtures or has marks.

    """
    before = list(sys.path)
    sys.path.insert(0, str(path.absolute().parent))
    try:
        functions = _by_name(path)
        wanted = list(functions) if names is None else list(names)
        if complete:
            wanted = list(
                dict.fromkeys(each for name in wanted for each in _chain(name, functions))
            )
        for name in wanted:
            if name not in functions:
                known = ", ".join(functions) or "none"
                raise SweepError(f"{path} has no sweep {name!r}: its sweeps are {known}")
            _refuse_pytest(name, functions[name])
        yield [functions[name] for name in wanted]
    finally:
        sys.path[:] = before


def _by_name(path: Path) -> dict[str, SweepFunction]:
    found: dict[str, SweepFunction] = {}
    for value in vars(_imported(path)).values():
        sweep = sweep_of(value)
        if sweep is not None and found.setdefault(sweep.name, value) is not value:
            raise SweepError(
                f"{path} has two sweeps with the name {sweep.name!r}, under which their results "
                f"are written: give one of them another name=...; its runs are kept"
            )
    return found


def _chain(name: str, functions: Mapping[str, SweepFunction]) -> list[str]:
    """Return the sweep of a name after those that it comes after."""
    sweep = sweep_of(functions.get(name))
    before = sweep.after if sweep else None
    return [*(_chain(before.name, functions) if before else ()), name]


def experiment_at(sweep: Sweep, point: Config, path: Path, recipe: int = 0) -> Experiment:
    """Return the experiment of a point, with its checkout at `path`, and one of its recipes."""
    title, config, before = (
        point_id(sweep, point),
        config_at(sweep, point),
        upstream_at(sweep, point),
    )
    return Experiment(
        sweep, title, point, config, path, recipe=sweep.recipe(recipe), comes_after=before
    )


def call_of(
    function: SweepFunction, experiment: Experiment, repo: Repo, remote: Remote
) -> SweepCall:
    """Return the call of a sweep function for an experiment, not yet started."""
    used = as_written(experiment)
    given: Mapping[str, object] = {"experiment": used, "repo": repo, "remote": remote}
    wanted = inspect.signature(function).parameters
    arguments = {name: value for name, value in given.items() if name in wanted}
    name = experiment.sweep.name
    return SweepCall(lambda: function(**arguments), name, yields=has_yield(function))


def _imported(path: Path) -> ModuleType:
    if not __debug__:
        raise SweepError(
            f"Python runs with -O or PYTHONOPTIMIZE, which removes assertions: all checks in "
            f"{path} would pass; start it without them"
        )
    spec = spec_from_file_location(f"remex_sweeps_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        what = "is not a Python file" if path.exists() else "does not exist"
        raise SweepError(f"{path} {what}: give the file with the sweeps")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses in the file look up their module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise SweepError(f"{path} cannot be imported ({first_line(error)}): correct it") from error
    return module


def _refuse_pytest(name: str, function: SweepFunction) -> None:
    """Refuse a sweep that needs pytest."""
    instead = "run it with pytest and its --remex options"
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name not in GIVEN and parameter.default is inspect.Parameter.empty:
            raise SweepError(
                f"sweep {name} uses the fixture {parameter.name!r}, which only pytest has: "
                f"{instead}"
            )
    marks = [str(mark.name) for mark in getattr(function, "pytestmark", ())]
    if marks:
        raise SweepError(f"sweep {name} is marked {', '.join(marks)}: {instead}")
