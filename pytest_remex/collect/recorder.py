"""Keeps what a sweep function records of its run, from the moment that it records it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_remex.collect.curves import CURVES, KeptCurve, points_of, write_curve
from pytest_remex.errors import SweepError
from pytest_remex.io import writing
from pytest_remex.model import Config, Scalar
from pytest_remex.names import COLUMNS


class RunRecorder:
    """The measures and curves of one run, checked as they are recorded.

    `measures` are by name; `curves` are digests by name, of files in the folder of the outputs.

    Args:
        folder: The folder of the run's outputs; curves that an earlier collect left there go.
        parameters: What varies, whose names no measure may have.

    """

    def __init__(self, folder: Path, parameters: Config) -> None:
        self.measures: dict[str, Scalar] = {}
        self.curves: dict[str, str] = {}
        self._folder = folder / CURVES
        self._parameters = parameters
        with writing(self._folder):
            if self._folder.is_dir():
                shutil.rmtree(self._folder)

    def record(self, measures: Mapping[str, object]) -> None:
        """Keep measures; see `Run.record`."""
        for name, value in measures.items():
            self._refuse_name(name)
            self.measures[name] = measure(name, value)

    def curve(  # noqa: PLR0913 - as Run.curve
        self,
        name: object,
        x: Sequence[float],
        y: Sequence[float],
        *,
        x_label: str,
        y_label: str,
        x_reversed: bool,
    ) -> None:
        """Keep a curve; see `Run.curve`."""
        if not isinstance(name, str) or not name:
            raise SweepError(f"a curve's name is {name!r}: write a text that is not empty")
        if name in self.curves:
            raise SweepError(f"the curve {name!r} is recorded twice: choose another name")
        xs, ys = points_of(name, "x", x), points_of(name, "y", y)
        if len(xs) != len(ys):
            raise SweepError(f"the curve {name!r} has {len(xs)} x and {len(ys)} y: give as many")
        curve = KeptCurve(name, xs, ys, str(x_label), str(y_label), x_reversed=bool(x_reversed))
        self.curves[name] = write_curve(self._folder, curve)

    def _refuse_name(self, name: object) -> None:
        if not isinstance(name, str) or not name:
            raise SweepError(f"a measure's name is {name!r}: write a text that is not empty")
        if name in self.measures:
            raise SweepError(f"the measure {name!r} is recorded twice: choose another name")
        if name in self._parameters:
            raise SweepError(f"the measure {name!r} is the name of a parameter: choose another")
        if name in COLUMNS:
            raise SweepError(
                f"the measure {name!r} is the name of a column of the results: choose another"
            )


def measure(name: str, value: object) -> Scalar:
    """Return a measure as Python's own number, text or boolean; nan and infinities stay.

    Raises `SweepError` for anything else, with its name.
    """
    package = type(value).__module__.partition(".")[0]
    if package in {"numpy", "pandas"} and hasattr(value, "item") and not getattr(value, "ndim", 0):
        value = value.item()
    match value:
        case bool():
            return value
        case str():
            return str(value)
        case int():
            return int(value)
        case float():
            return float(value)
    fix = "leave it out, or record nan" if value is None else "record a number, a text or a boolean"
    raise SweepError(
        f"the measure {name!r} is {value!r:.80}, of type {type(value).__name__}: {fix}"
    )
