"""The decorator, and the grid of points that it stands for."""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ParamSpec, TypeAlias, TypeVar

from pytest_remex.errors import SweepError
from pytest_remex.model import Config, Dimension, Sweep, Value

P = ParamSpec("P")
T = TypeVar("T")
Dimensions: TypeAlias = Mapping[str | tuple[str, ...], Iterable[object]]

RESERVED = frozenset({"launches", "runs", "local"})
"""Folders of the output folder, in which each sweep has one of its own."""

ATTRIBUTE = "__remex_sweep__"


def sweep(  # noqa: PLR0913 - the contract with users
    dimensions: Dimensions | None = None,
    *,
    base_config: Mapping[str, object] | None = None,
    branch: str | None = None,
    name: str | None = None,
    fetch: Sequence[str] = (),
    config_file: str | None = None,
    link_name: str | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a function a sweep: one experiment for each point of the grid.

    `dimensions` maps a tuple of parameter names, or one name, to the values that they take; the
    grid is their product in the order given, and no dimensions are one experiment. `base_config`
    holds what does not vary, `branch` any commit-ish (default HEAD), `name` the sweep's name
    (default the function's), `fetch` globs of outputs in the run directory, `config_file` the
    file there from which the config that ran is read back, and `link_name` a template for links,
    such as `"{initial_mass}_{output}"`.

    Raises `SweepError`, which names the value and the mend, for a name in two dimensions, a tuple
    of the wrong length, an empty dimension, two equal points, and a value that JSON cannot hold.
    """
    if callable(dimensions):
        raise SweepError("@sweep is used without parentheses: write @sweep() or @sweep({...})")
    if isinstance(fetch, str):
        raise SweepError(f"fetch={fetch!r} is one string: write fetch=[{fetch!r}]")
    read = tuple(_dimension(names, values) for names, values in (dimensions or {}).items())
    _refuse_repeated_names(read)
    base = {key: plain(value, key) for key, value in (base_config or {}).items()}

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        title = name or function.__name__
        if title in RESERVED:
            raise SweepError(f"a sweep cannot be called {title!r}: give it another name=...")
        plan = Sweep(title, read, base, branch or "HEAD", tuple(fetch), config_file, link_name)
        _refuse_equal_points(plan)
        return _mark(function, plan)

    return decorate


def sweep_of(function: object) -> Sweep | None:
    """Give the sweep that a function was decorated with, if it was."""
    found = getattr(function, ATTRIBUTE, None)
    return found if isinstance(found, Sweep) else None


def expand(plan: Sweep) -> list[dict[str, Value]]:
    """Give the grid's points, the last dimension varying fastest."""
    return [
        {
            name: value
            for dimension, values in zip(plan.dimensions, chosen, strict=True)
            for name, value in zip(dimension.names, values, strict=True)
        }
        for chosen in itertools.product(*(dimension.values for dimension in plan.dimensions))
    ]


def point_id(point: Config) -> str:
    """Name a point: `initial_mass=10-initial_y=0.27`."""
    return "-".join(f"{name}={_text(value)}" for name, value in point.items())


def plain(value: object, name: str) -> Value:
    """Give `value` as JSON can hold it; NumPy scalars and arrays become Python's own.

    Raises `SweepError` for anything else, for nan and for infinities.
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
        f"{name} = {value!r}: a {type(value).__name__} cannot be kept in a launch record; "
        f"give a number, a string, a list or a dict, and build the object in the sweep's body"
    )


def _mark(function: Callable[P, T], plan: Sweep) -> Callable[P, T]:
    # pytest refuses generator functions, and runs one that is wrapped; __test__ lets any name in.
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
        raise SweepError(f"dimension {_title(names)} is empty: give it at least one value")
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


def _title(names: tuple[str, ...]) -> str:
    return repr(names[0]) if len(names) == 1 else repr(names)


def _refuse_repeated_names(dimensions: Sequence[Dimension]) -> None:
    seen: set[str] = set()
    for name in (name for dimension in dimensions for name in dimension.names):
        if name in seen:
            raise SweepError(f"{name!r} is in two dimensions: leave it in one")
        seen.add(name)


def _refuse_equal_points(plan: Sweep) -> None:
    seen: set[str] = set()
    for point in expand(plan):
        title = point_id(point)
        if title in seen:
            raise SweepError(f"sweep {plan.name}: two points are {title!r}: remove one")
        seen.add(title)


def _text(value: Value) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"), sort_keys=True)
    return str(value)
