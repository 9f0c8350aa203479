"""The decorator, the grid of points that it defines, and the call of a sweep function."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeAlias, TypeVar, cast

from pytest_remex.errors import SweepError
from pytest_remex.experiment import Run, Upstream, config_at, refuse_cycle
from pytest_remex.io import working_in
from pytest_remex.model import SCRIPT, Config, Dimension, Members, OptionalOutput, Sweep, Value
from pytest_remex.names import float_texts, point_id
from pytest_remex.sweep_arguments import (
    dimension_names,
    listed,
    name_of_sweep,
    plain,
    recipes_of,
    refuse_repeated_names,
    replicates_of,
    script_path,
    stored_config,
    text,
    text_or_none,
    texts,
    tolerances_of,
)

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
    after: Callable[..., object] | None = None,
    replicates: int = 1,
    tolerance: float | Mapping[str, object] | None = None,
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
        after: The sweep whose experiments come before: the grid is each of its points with each
            of these dimensions, and `experiment.upstream` is the experiment that comes before.
        replicates: How often each point is run; ids end in `-r1`, `-r2` ..., and
            `experiment.replicate` counts from 1 on, for a seed.
        tolerance: How far measures may be from those of another base, for `--remex-against`: a
            number (relative), or by the measure's name a number or `{"rel": 1e-6}`,
            `{"abs": 1e-3}`, both, or `{"sigma": 3}` for replicates. Default: whole numbers, text
            and booleans must be equal, other numbers within 1e-9, relative.

    Returns:
        A decorator, which returns the function in a form that pytest can collect.

    Raises:
        SweepError: A name is in two dimensions, a tuple has the wrong length, a dimension is
            empty, two points have the same id, JSON cannot hold a value, a path or pattern cannot
            be meant, or a sweep comes after itself.

    Example:
        >>> @sweep({"initial_mass": [10, 15, 20]}, fetch=["LOGS/history.data"])
        ... def tams(experiment):
        ...     (experiment.path / "mass.txt").write_text(str(experiment.config["initial_mass"]))
        ...     run = yield
        ...     assert "terminated" in run.log

    """
    before, members = _upstream_sweep(after)
    grid = _grid(dimensions or {}, before, replicates, members)
    unnamed = Sweep(
        name="",
        dimensions=grid,
        base_config=stored_config(base_config, "base_config", members),
        branch=text_or_none(branch or None, "branch") or "HEAD",
        fetch=texts(fetch, "fetch"),
        config_files=texts(listed(config_file), "config_file"),
        link_name=text_or_none(link_name, "link_name"),
        inputs=None if inputs is None else texts(inputs, "inputs"),
        script=script_path(script),
        float_texts=float_texts(grid),
        recipes=recipes_of(recipes, members),
        after=before,
        replicates=replicates,
        tolerance=tolerances_of(tolerance),
        members=members,
    )

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        return _mark(function, _named(unnamed, name, function))

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
    return OptionalOutput(text(pattern, "optional"))


def sweep_of(function: object) -> Sweep | None:
    """Return the sweep that a function was decorated with; None if it was not."""
    found = getattr(function, ATTRIBUTE, None)
    return found if isinstance(found, Sweep) else None


def expand(sweep: Sweep) -> list[dict[str, Value]]:
    """Return the grid's points, the last dimension varying fastest."""
    return [
        {
            name: value
            for dimension, values in zip(sweep.dimensions, chosen, strict=True)
            for name, value in zip(dimension.names, values, strict=True)
        }
        for chosen in itertools.product(*(dimension.values for dimension in sweep.dimensions))
    ]


def upstream_at(sweep: Sweep, point: Config) -> Upstream | None:
    """Return the experiment that comes before a point of a sweep; None if none does."""
    before = sweep.after
    if before is None:
        return None
    there = {name: point[name] for each in before.dimensions for name in each.names}
    title, config = point_id(before, there), config_at(before, there)
    return Upstream(before, title, there, config, upstream_at(before, there))


def has_yield(function: object) -> bool:
    """Return whether a function has a `yield`, whatever decorators are around it."""
    return inspect.isgeneratorfunction(inspect.unwrap(function))  # type: ignore[arg-type]


class SweepCall:
    """A call of a sweep function, paused at its `yield`: the patch before it, the check after it.

    `patch` comes first, then `check` or nothing, then `close`. `yields` is whether the function has
    a `yield`, whatever is around it.
    """

    def __init__(self, call: Callable[[], object], title: str, *, yields: bool = False) -> None:
        self._call = call
        self._title = title
        self._yields = yields
        self._paused: Generator[None, Run, object] | None = None

    def patch(self, checkout: Path) -> None:
        """Run the function up to its `yield`, or to its end if it has none.

        Args:
            checkout: The working directory meanwhile, so that relative paths edit the checkout.

        """
        __tracebackhide__ = True
        with working_in(checkout):
            self._start()

    def _start(self) -> None:
        __tracebackhide__ = True
        result = self._call()
        if inspect.iscoroutine(result) or inspect.isasyncgen(result):
            if inspect.iscoroutine(result):
                result.close()
            raise SweepError(f"sweep {self._title} is async: write a plain function")
        if not inspect.isgenerator(result):
            if self._yields:
                raise SweepError(
                    f"sweep {self._title} has a yield, but its call returned {result!r:.60}, so it "
                    f"did not run: let the decorator or pytest plugin around it return what it "
                    f"returns"
                )
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


def _mark(function: Callable[P, T], sweep: Sweep) -> Callable[P, T]:
    # pytest refuses generator functions, so it gets a wrapper; __test__ allows any name
    @functools.wraps(function)
    def experiment(*args: P.args, **kwargs: P.kwargs) -> T:
        return function(*args, **kwargs)

    setattr(experiment, ATTRIBUTE, sweep)
    experiment.__test__ = True  # type: ignore[attr-defined]
    return experiment


def _refuse_other_than_function(function: object) -> None:
    if isinstance(function, staticmethod | classmethod):
        kind = type(function).__name__
        raise SweepError(f"@sweep is above @{kind}: write @{kind} above @sweep")
    if not inspect.isfunction(inspect.unwrap(function)):  # type: ignore[arg-type]
        raise SweepError(f"@sweep decorates {function!r}: it must decorate a function or a method")
    if found := sweep_of(function):
        raise SweepError(
            f"{found.name!r} is a sweep already: write all dimensions in one @sweep, which varies "
            f"each of them with all others"
        )


def _named(unnamed: Sweep, name: str | None, function: Callable[..., object]) -> Sweep:
    _refuse_other_than_function(function)
    file = inspect.unwrap(function).__code__.co_filename
    sweep = replace(unnamed, name=name_of_sweep(name, function), file=file)
    _refuse_reserved_name(sweep)
    refuse_cycle(sweep)
    _refuse_equal_points(sweep)
    return sweep


def _grid(
    dimensions: Dimensions, before: Sweep | None, replicates: object, members: Members
) -> tuple[Dimension, ...]:
    """Return the dimensions of a sweep, those of the sweep that it comes after first."""
    if callable(dimensions):
        raise SweepError("@sweep is used without parentheses: write @sweep() or @sweep({...})")
    if not isinstance(dimensions, Mapping):
        raise SweepError(f"{dimensions!r} must be a dict of dimensions: {{'name': [values]}}")
    own = tuple(_dimension(names, values, members) for names, values in dimensions.items())
    own += replicates_of(replicates)
    refuse_repeated_names(own)
    if before is None:
        return own
    _refuse_names_of_both(own, before)
    return (*before.dimensions, *own)


def _dimension(key: str | tuple[str, ...], values: Iterable[object], members: Members) -> Dimension:
    names = dimension_names(key)
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise SweepError(f"dimension {_title(names)}: {values!r} must be a list of values")
    rows = tuple(_row(key, names, value, members) for value in values)
    if not rows:
        raise SweepError(f"dimension {_title(names)} is empty: list at least one value")
    return Dimension(names, rows)


def _row(
    key: str | tuple[str, ...], names: tuple[str, ...], value: object, members: Members
) -> tuple[Value, ...]:
    if isinstance(key, str):
        return (plain(value, key, members),)
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != len(names):
        raise SweepError(
            f"dimension {_title(names)}: {value!r} must be a tuple of {len(names)}, "
            f"one value for each name"
        )
    return tuple(plain(one, name, members) for name, one in zip(names, value, strict=True))


def _title(names: tuple[str, ...]) -> str:
    return repr(names[0]) if len(names) == 1 else repr(names)


def _upstream_sweep(after: object) -> tuple[Sweep | None, Members]:
    """Return the sweep that comes before, and a copy of its members of enums to add to."""
    found = sweep_of(after)
    if after is not None and found is None:
        raise SweepError(
            f"after={after!r}: write the name of a sweep function that is defined above, without "
            f"quotes or parentheses"
        )
    return found, dict(found.members) if found else {}


def _refuse_names_of_both(own: Sequence[Dimension], before: Sweep) -> None:
    known = {name for dimension in before.dimensions for name in dimension.names}
    if both := [name for each in own for name in each.names if name in known]:
        raise SweepError(
            f"{both[0]!r} is a dimension here and in the sweep {before.name!r} that it comes "
            f"after: leave it in one of them"
        )


def _refuse_reserved_name(sweep: Sweep) -> None:
    if sweep.name in RESERVED:
        raise SweepError(
            f"a sweep cannot be called {sweep.name!r}, which names another folder of "
            f"remex_output: choose another name=..."
        )


def _refuse_equal_points(sweep: Sweep) -> None:
    seen: set[str] = set()
    for point in expand(sweep):
        title = point_id(sweep, point)
        if title in seen:
            first = next(each for each in expand(sweep) if point_id(sweep, each) == title)
            raise SweepError(f"sweep {sweep.name}: {_equal_points(title, first, point)}")
        seen.add(title)


def _equal_points(title: str, one: Config, other: Config) -> str:
    """Return the message for two points with the same id."""
    differing = [name for name in one if repr(one[name]) != repr(other[name])]
    if not differing:
        return f"two points are {title!r}: remove one"
    name = differing[0]
    first, second = f"{one[name]!r:.60}", f"{other[name]!r:.60}"
    return (
        f"two points are {title!r}, since ids show {name} = {first} and {second} alike: remove "
        f"one, or tell them apart by another parameter, as in {{({name!r}, 'is'): "
        f"[({first}, 'a'), ({second}, 'b')]}}"
    )


def _measures(value: object, title: str) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SweepError(
            f"sweep {title} returns {value!r}: return a dict of measures, name to number or text"
        )
    return value
