"""The decorator, the grid of points that it defines, and the call of a sweep function."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import ParamSpec, TypeAlias, TypeVar, cast

from pytest_remex.errors import SweepError
from pytest_remex.model import SCRIPT, Config, Dimension, OptionalOutput, Run, Sweep, Value
from pytest_remex.point_ids import float_texts, point_id

P = ParamSpec("P")
T = TypeVar("T")
Dimensions: TypeAlias = Mapping[str | tuple[str, ...], Iterable[object]]

RESERVED = frozenset({"launches", "runs", "local"})
"""Folders in the output folder that a sweep's folder must not be named like."""

SWEEP_FILES = ("sweeps.py", "sweep_*.py", "*_sweep.py")
"""The file names in which pytest looks for sweeps, in addition to test files."""

ATTRIBUTE = "__remex_sweep__"


def sweep(  # noqa: PLR0913 - the contract with users
    dimensions: Dimensions | None = None,
    *,
    base_config: Mapping[str, object] | None = None,
    branch: str | None = None,
    name: str | None = None,
    fetch: Sequence[str] = (),
    config_file: str | Sequence[str] | None = None,
    link_name: str | None = None,
    inputs: Sequence[str] | None = None,
    script: str = SCRIPT,
    recipes: Sequence[Mapping[str, object]] | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function a sweep: one experiment for each point of the grid.

    Before its `yield` the function edits a checkout of the base commit, `experiment.path`. After
    it, with the job's `Run`, it checks the outputs and returns measures.

    Args:
        dimensions: The values of each parameter: a dict from a name to a list of values, or from a
            tuple of names to a list of value tuples, for parameters that vary together. The grid is
            the product in the given order, the last dimension varying fastest; without dimensions
            there is one experiment. Any iterable can be used as a list.
        base_config: The parameters that do not vary; `experiment.config` is this, updated with the
            point.
        branch: The base: any branch, tag or commit of the repository. Default: HEAD.
        name: The sweep's name. Default: the function's name.
        fetch: Patterns of outputs to fetch, relative to the run directory, such as `LOGS/*.data`.
            Each must match a file that the job wrote, except those marked by `optional`.
        config_file: The file in the run directory, or a list of files, from which the config that
            ran is read back.
        link_name: A template for the links to outputs, such as `"{initial_mass}_{output}"`.
        inputs: Patterns, as in .gitignore, of the repository's files that the job depends on.
            Then only those and the script are copied to run directories and identify experiments.
            Default: all files except control files (see `remex_control`).
        script: The path of the batch script in the repository.
        recipes: Variants of the patch, which reads its variant as `experiment.recipe`. The first is
            submitted; if its job or its check failed, `--remex-retry` tries the next one.

    Returns:
        A decorator, which returns the function in a form that pytest can collect.

    Raises:
        SweepError: A name is in two dimensions, a tuple has the wrong length, a dimension is
            empty, two points have the same id, JSON cannot represent a value, or a path or pattern
            is invalid.

    Example:
        >>> @sweep({"initial_mass": [10, 15, 20]}, fetch=["LOGS/history.data"])
        ... def tams(experiment):
        ...     (experiment.path / "mass.txt").write_text(str(experiment.config["initial_mass"]))
        ...     run = yield
        ...     assert "terminated" in run.log

    """
    if callable(dimensions):
        raise SweepError("@sweep is used without parentheses: write @sweep() or @sweep({...})")
    grid = tuple(_dimension(names, values) for names, values in (dimensions or {}).items())
    _refuse_repeated_names(grid)
    unnamed = Sweep(
        name="",
        dimensions=grid,
        base_config={key: plain(value, key) for key, value in (base_config or {}).items()},
        branch=branch or "HEAD",
        fetch=_texts(fetch, "fetch"),
        config_files=_texts(
            [config_file] if isinstance(config_file, str) else config_file or (), "config_file"
        ),
        link_name=link_name,
        inputs=None if inputs is None else _texts(inputs, "inputs"),
        script=_script_path(script),
        float_texts=float_texts(grid),
        recipes=_recipes(recipes),
    )

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        plan = replace(unnamed, name=name or function.__name__)
        _refuse_reserved_name(plan)
        _refuse_equal_points(plan)
        return _mark(function, plan)

    return decorate


def optional(pattern: str) -> OptionalOutput:
    """Mark a pattern in `fetch` whose outputs need not exist.

    Args:
        pattern: A pattern of outputs, relative to the run directory.

    Raises:
        SweepError: It is not a string, or empty.

    Example:
        >>> @sweep(fetch=["LOGS/history.data", optional("LOGS/*.png")])
        ... def tams(experiment): ...

    """
    return OptionalOutput(_text(pattern, "optional"))


def sweep_of(function: object) -> Sweep | None:
    """Return the sweep that a function was decorated with; None if it was not."""
    found = getattr(function, ATTRIBUTE, None)
    return found if isinstance(found, Sweep) else None


def expand(plan: Sweep) -> list[dict[str, Value]]:
    """Return the grid's points, the last dimension varying fastest."""
    return [
        {
            name: value
            for dimension, values in zip(plan.dimensions, chosen, strict=True)
            for name, value in zip(dimension.names, values, strict=True)
        }
        for chosen in itertools.product(*(dimension.values for dimension in plan.dimensions))
    ]


def plain(value: object, name: str) -> Value:
    """Convert a value for JSON; NumPy scalars and arrays become plain Python values.

    Raises `SweepError` for values of other types, nan and infinities.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    match value:
        case None | bool() | int() | str():
            return value
        case float() if math.isfinite(value):
            return value
        case float():
            raise SweepError(f"{name} = {value!r}: a parameter must be a finite number")
        case list() | tuple():
            return [plain(one, name) for one in value]
        case Mapping():
            return {str(key): plain(one, f"{name}.{key}") for key, one in value.items()}
    raise SweepError(
        f"{name} = {value!r}: a {type(value).__name__} cannot be stored in a launch record: "
        f"use a number, a string, a list or a dict, and build the object in the sweep function"
    )


class SweepCall:
    """A call of a sweep function, paused at its `yield`: the patch before it, the check after it.

    `patch` comes first, then `check` or nothing, then `close`.
    """

    def __init__(self, call: Callable[[], object], title: str) -> None:
        self._call = call
        self._title = title
        self._paused: Generator[None, Run, object] | None = None

    def patch(self, checkout: Path) -> None:
        """Run the function up to its `yield`, or to its end if it has none.

        Args:
            checkout: The working directory meanwhile, so that relative paths edit the checkout.

        """
        __tracebackhide__ = True
        with chdir(checkout):
            self._start()

    def _start(self) -> None:
        __tracebackhide__ = True
        result = self._call()
        if inspect.iscoroutine(result) or inspect.isasyncgen(result):
            if inspect.iscoroutine(result):
                result.close()
            raise SweepError(f"sweep {self._title} is async: write a plain function")
        if not inspect.isgenerator(result):
            return
        try:
            next(result)
        except StopIteration:
            return
        self._paused = cast("Generator[None, Run, object]", result)

    def check(self, run: Run) -> Mapping[str, object]:
        """Run the function after its `yield`, and return its measures."""
        __tracebackhide__ = True
        if self._paused is None:
            return {}
        try:
            self._paused.send(run)
        except StopIteration as end:
            return _measures(end.value, self._title)
        raise SweepError(f"sweep {self._title} yields twice: it must yield once, for its run")

    def close(self) -> None:
        """End a paused function; its `finally` blocks run."""
        if self._paused is not None:
            self._paused.close()


def _mark(function: Callable[P, T], plan: Sweep) -> Callable[P, T]:
    # pytest refuses generator functions, so it gets a wrapper; __test__ allows any name
    @functools.wraps(function)
    def experiment(*args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    setattr(experiment, ATTRIBUTE, plan)
    experiment.__test__ = True  # type: ignore[attr-defined]
    return experiment


def _dimension(key: str | tuple[str, ...], values: Iterable[object]) -> Dimension:
    names = (key,) if isinstance(key, str) else tuple(key)
    if not all(names) or not names:
        raise SweepError(f"dimension {key!r}: its key must be a name or a tuple of names")
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise SweepError(f"dimension {_title(names)}: {values!r} must be a list of values")
    rows = tuple(_row(key, names, value) for value in values)
    if not rows:
        raise SweepError(f"dimension {_title(names)} is empty: list at least one value")
    return Dimension(names, rows)


def _row(key: str | tuple[str, ...], names: tuple[str, ...], value: object) -> tuple[Value, ...]:
    if isinstance(key, str):
        return (plain(value, key),)
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != len(names):
        raise SweepError(
            f"dimension {_title(names)}: {value!r} must be a tuple of {len(names)}, "
            f"one value for each name"
        )
    return tuple(plain(one, name) for name, one in zip(names, value, strict=True))


def _texts(values: object, keyword: str) -> tuple[str, ...]:
    if isinstance(values, str):
        raise SweepError(f"{keyword}={values!r} is one string: write {keyword}=[{values!r}]")
    if not isinstance(values, Iterable):
        raise SweepError(f"{keyword}={values!r}: write a list of strings")
    return tuple(_text(value, keyword) for value in values)


def _text(value: object, keyword: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SweepError(f"{keyword}: {value!r} must be a string, and not empty")
    if "\n" in value or "\0" in value:
        raise SweepError(f"{keyword}: {value!r} contains a line break or NUL: remove it")
    return value


def _recipes(recipes: Sequence[Mapping[str, object]] | None) -> tuple[Config, ...]:
    if recipes is None:
        return ()
    if isinstance(recipes, str | Mapping) or not isinstance(recipes, Iterable):
        raise SweepError(f"recipes={recipes!r}: write a list of dicts, such as [{{}}, {{'n': 2}}]")
    found: list[Config] = []
    for recipe in recipes:
        if not isinstance(recipe, Mapping):
            raise SweepError(f"recipes: {recipe!r} must be a dict of names and values")
        values = {str(name): plain(value, str(name)) for name, value in recipe.items()}
        if values in found:
            raise SweepError(f"recipes: {values!r} appears twice: remove one")
        found.append(values)
    if not found:
        raise SweepError("recipes is empty: list at least one, or leave it out")
    return tuple(found)


def _script_path(script: str) -> str:
    text = _text(script, "script")
    path = PurePosixPath(text)
    if (
        path.is_absolute()
        or text.endswith("/")
        or {"..", ".remex"} & {*path.parts}
        or not path.name
        or text.startswith("-")
    ):
        raise SweepError(
            f"script={script!r} must be the path of a file in the repository, from its top, such "
            f"as 'run.sbatch' or 'jobs/long.sbatch'"
        )
    return str(path)


def _title(names: tuple[str, ...]) -> str:
    return repr(names[0]) if len(names) == 1 else repr(names)


def _refuse_repeated_names(dimensions: Sequence[Dimension]) -> None:
    known: set[str] = set()
    for name in (name for dimension in dimensions for name in dimension.names):
        if name in known:
            raise SweepError(f"{name!r} is in two dimensions: leave it in one")
        known.add(name)


def _refuse_reserved_name(plan: Sweep) -> None:
    if plan.name in RESERVED:
        raise SweepError(
            f"a sweep cannot be called {plan.name!r}, which names another folder of "
            f"remex_output: choose another name=..."
        )


def _refuse_equal_points(plan: Sweep) -> None:
    seen: set[str] = set()
    for point in expand(plan):
        title = point_id(plan, point)
        if title in seen:
            raise SweepError(f"sweep {plan.name}: two points are {title!r}: remove one")
        seen.add(title)


def _measures(value: object, title: str) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SweepError(
            f"sweep {title} returns {value!r}: return a dict of measures, name to number or text"
        )
    return value
