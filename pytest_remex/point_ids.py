"""The ids of points, such as `mass=10-z=0.02722`: floats are short, and unique in their sweep."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from pytest_remex.experiment import Experiment
from pytest_remex.model import REPLICATE, Config, Dimension, Sweep, Value

_SHOWN = 6
"""Floats with more significant digits than this are shortened."""
_FEWEST = 4
_ALL = 17


def point_id(sweep: Sweep, point: Config) -> str:
    """Return a point's id in its sweep: floats have as few digits as keep them different."""
    counted = REPLICATE if sweep.counts_replicates else None
    return "-".join(
        f"r{value}"
        if name == counted
        else f"{name}={_short(sweep.float_texts.get(name, {}), value)}"
        for name, value in point.items()
    )


def full_point_id(point: Config) -> str:
    """Return a point's id with all digits, as in older launches."""
    return "-".join(f"{name}={_text(value)}" for name, value in point.items())


def full_id(experiment: Experiment) -> str:
    """Return an experiment's id with all digits.

    Commit messages contain it, so that a commit does not depend on the other values of the grid.
    """
    return with_full_id(experiment.id, experiment.sweep, experiment.point)


def with_full_id(text: str, sweep: Sweep, point: Config) -> str:
    """Replace a point's id in a text, such as a node id, by the id with all digits."""
    return text.replace(point_id(sweep, point), full_point_id(point), 1) if point else text


def function_of(node: str) -> str:
    """Return a node id without the point: the file and the function."""
    return node.partition("[")[0]


def float_texts(dimensions: Iterable[Dimension]) -> Mapping[str, Mapping[float, str]]:
    """Return the texts in ids for each parameter's floats that are shortened."""
    return {
        name: short_texts(row[place] for row in dimension.values)
        for dimension in dimensions
        for place, name in enumerate(dimension.names)
    }


def short_texts(values: Iterable[Value]) -> Mapping[float, str]:
    """Return unique texts for the floats that are shortened.

    Args:
        values: All values of a parameter.

    """
    known = list(values)
    floats = {value for value in known if isinstance(value, float)}
    long = {value for value in floats if _digits(value) > _SHOWN}
    taken = {_text(value) for value in known if not isinstance(value, float) or value not in long}
    texts: dict[float, str] = {}
    for digits in range(_FEWEST, _ALL):
        rounded = {value: _rounded(value, digits) for value in long - texts.keys()}
        count = Counter(_rounded(value, digits) for value in long)
        fresh = {
            value: text
            for value, text in rounded.items()
            if count[text] == 1 and text not in taken and digits >= _whole_digits(value)
        }
        texts |= fresh
        taken |= {*fresh.values()}
    return texts


def _short(texts: Mapping[float, str], value: Value) -> str:
    return texts.get(value, str(value)) if isinstance(value, float) else _text(value)


def _text(value: Value) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"), sort_keys=True)
    return str(value)


def _rounded(value: float, digits: int) -> str:
    return str(float(f"{value:.{digits}g}"))


def _digits(value: float) -> int:
    """Return how many significant digits a float has."""
    mantissa = repr(abs(value)).partition("e")[0]
    return len(mantissa.replace(".", "").strip("0"))


def _whole_digits(value: float) -> int:
    return min(len(str(int(abs(value)))), _ALL)
