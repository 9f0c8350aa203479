"""Checks of what is written as arguments of `@sweep(...)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from pathlib import PurePosixPath

from pytest_remex.errors import SweepError
from pytest_remex.model import REPLICATE, Config, Dimension, Members, Scalar, Tolerance, Value

MOST = 10_000
"""Replicates of a point at most."""


def texts(values: object, keyword: str) -> tuple[str, ...]:
    """Return a list of strings. Raises `SweepError` for anything else."""
    if isinstance(values, str):
        raise SweepError(f"{keyword}={values!r} is one string: write {keyword}=[{values!r}]")
    if not isinstance(values, Iterable):
        raise SweepError(f"{keyword}={values!r}: write a list of strings")
    return tuple(text(value, keyword) for value in values)


def listed(value: object) -> object:
    """Return one string, or nothing, as a list; anything else as it is."""
    return [value] if isinstance(value, str) else value or ()


def text(value: object, keyword: str) -> str:
    """Return a string of one line that is not empty. Raises `SweepError` for anything else."""
    if not isinstance(value, str) or not value.strip():
        raise SweepError(f"{keyword}: {value!r} must be a string, and not empty")
    if "\n" in value or "\0" in value:
        raise SweepError(f"{keyword}: {value!r} contains a line break or NUL: remove it")
    return value


def text_or_none(value: object, keyword: str) -> str | None:
    """Return a string that is not empty, or None. Raises `SweepError` for anything else."""
    return None if value is None else text(value, keyword)


def by_name(values: object, keyword: str) -> Mapping[str, object]:
    """Return a dict whose keys are names, {} for None. Raises `SweepError` for anything else."""
    if values is not None and not isinstance(values, Mapping):
        raise SweepError(f"{keyword}={values!r} must be a dict of names and values")
    for name in values or {}:
        stored_name(name, keyword)
    return values or {}


def plain(value: object, name: str, members: Members | None = None) -> Value:
    """Convert a value for JSON: NumPy's, and an enum's text or numbers, become plain Python values.

    The enum's members are added to `members`. Raises `SweepError` for values of other types, nan
    and infinities.
    """
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    match value:
        case None | bool():
            return value
        case int():
            return _noted(value, int.__int__(value), name, members)
        case str():
            return _noted(value, str.__str__(value), name, members)
        case float() if math.isfinite(value):
            return _noted(value, float.__float__(value), name, members)
        case float():
            raise SweepError(f"{name} = {value!r}: a parameter must be a finite number")
        case list() | tuple():
            return [plain(one, name, members) for one in value]
        case Mapping():
            return {str(key): plain(one, f"{name}.{key}", members) for key, one in value.items()}
    raise SweepError(
        f"{name} = {value!r}: a {type(value).__name__} cannot be stored in a launch record: "
        f"use a number, a string, a list or a dict, and build the object in the sweep function"
    )


def _noted(value: object, stored: Scalar, name: str, members: Members | None) -> Scalar:
    if isinstance(value, Enum) and members is not None:
        known = members.setdefault((name, repr(stored)), value)
        if repr(known) != repr(value):
            raise SweepError(
                f"{name} is {known!r} and {value!r}, but records keep their value {stored!r} only: "
                f"use one of the two"
            )
    return stored


def recipes_of(
    recipes: Sequence[Mapping[str, object]] | None, members: Members
) -> tuple[Config, ...]:
    """Return the recipes of a sweep; none for None. Raises `SweepError` for anything else."""
    if recipes is None:
        return ()
    if isinstance(recipes, str | Mapping) or not isinstance(recipes, Iterable):
        raise SweepError(f"recipes={recipes!r}: write a list of dicts, such as [{{}}, {{'n': 2}}]")
    found: list[Config] = []
    for recipe in recipes:
        if not isinstance(recipe, Mapping):
            raise SweepError(f"recipes: {recipe!r} must be a dict of names and values")
        values = stored_config(recipe, "recipes", members)
        if values in found:
            raise SweepError(f"recipes: {values!r} appears twice: remove one")
        found.append(values)
    if not found:
        raise SweepError("recipes is empty: list at least one, or leave it out")
    return tuple(found)


def stored_config(given: object, keyword: str, members: Members) -> Config:
    """Return a dict of parameters converted for JSON; `members` as in `plain`."""
    return {name: plain(one, name, members) for name, one in by_name(given, keyword).items()}


def name_of_sweep(name: object, function: Callable[..., object]) -> str:
    """Return a sweep's name, its function's for None. Raises `SweepError` for an empty one."""
    if name is None:
        return function.__name__
    if not isinstance(name, str) or not name:
        raise SweepError(f"name={name!r} must be a string, and not empty")
    return name


def stored_name(name: object, title: str) -> str:
    """Return a name that every file can hold. Raises `SweepError` for anything else."""
    if not isinstance(name, str) or not name:
        raise SweepError(f"{title}: {name!r} must be a name: a string that is not empty")
    if not name.isascii() and name != name.encode(errors="replace").decode():
        raise SweepError(f"{title}: {name!r} has half a character, which no file can hold")
    return name


def dimension_names(key: object) -> tuple[str, ...]:
    """Return the names that are the key of a dimension. Raises `SweepError` for anything else."""
    names = key if isinstance(key, tuple) else (key,)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise SweepError(f"dimension {key!r}: its key must be a name or a tuple of names")
    return tuple(stored_name(name, f"dimension {key!r}") for name in names)


def script_path(script: str) -> str:
    """Return the path of a batch script. Raises `SweepError` for one outside the repository."""
    written = text(script, "script")
    path = PurePosixPath(written)
    if (
        path.is_absolute()
        or written.endswith("/")
        or {"..", ".remex"} & {*path.parts}
        or not path.name
        or written.startswith("-")
    ):
        raise SweepError(
            f"script={script!r} must be the path of a file in the repository, from its top, such "
            f"as 'run.sbatch' or 'jobs/long.sbatch'"
        )
    return str(path)


def refuse_repeated_names(dimensions: Iterable[Dimension]) -> None:
    """Refuse a name in two dimensions. Raises `SweepError`."""
    known: set[str] = set()
    for name in (name for dimension in dimensions for name in dimension.names):
        if name in known:
            raise SweepError(f"{name!r} is in two dimensions: leave it in one")
        known.add(name)


def replicates_of(number: object) -> tuple[Dimension, ...]:
    """Return the dimension that counts replicates; none if there is one. Raises `SweepError`."""
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= MOST:
        raise SweepError(f"replicates={number!r}: write how many runs each point gets, 1 or more")
    if number == 1:
        return ()
    return (Dimension((REPLICATE,), tuple((each,) for each in range(1, number + 1))),)


def tolerances_of(given: object) -> dict[str, Tolerance]:
    """Return tolerances by the measure's name, "" for all others. Raises `SweepError`."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        return {"": _tolerance(given, "tolerance")}
    for name in given:
        if not isinstance(name, str) or not name:
            raise SweepError(f"tolerance: {name!r} must be the name of a measure")
    return {name: _tolerance(one, f"tolerance of {name!r}") for name, one in given.items()}


def _tolerance(given: object, title: str) -> Tolerance:
    bounds = given if isinstance(given, Mapping) else {"rel": given}
    if unknown := set(bounds) - {"rel", "abs", "sigma"}:
        raise SweepError(f"{title}: {min(map(str, unknown))!r}: known are rel, abs and sigma")
    return Tolerance(**{name: _bound(one, f"{title}: {name}") for name, one in bounds.items()})


def _bound(given: object, title: str) -> float:
    if not isinstance(given, int | float) or isinstance(given, bool) or not 0 <= given < math.inf:
        raise SweepError(f"{title} = {given!r}: write a number, 0 or more")
    return float(given)
