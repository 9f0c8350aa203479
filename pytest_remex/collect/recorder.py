"""Store what a sweep function records about its run, as soon as it records it.

Curves are written at full resolution into files next to the outputs:
`<outputs>/.remex/curves/<name>.npz` has the arrays x and y, and `about`: JSON with the curve's name
and the titles of its axes. Nothing in it is pickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zipfile import BadZipFile

from pytest_remex.errors import RemexError, SweepError
from pytest_remex.io import writing
from pytest_remex.model import Config, Scalar
from pytest_remex.names import COLUMNS, slug, text_digest
from pytest_remex.sweep_arguments import stored_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Points = NDArray[np.float64]


class RunRecorder:
    """The measures and curves of one run, checked when they are recorded.

    `measures` are by name; `curves` are digests, by name, of files in the folder of the outputs.

    Args:
        folder: The folder of the run's outputs; curves of an earlier collect are removed from it.
        parameters: The parameters that vary; a measure cannot have one of their names.
        recorded: Called each time measures were recorded.

    """

    def __init__(
        self, folder: Path, parameters: Config, recorded: Callable[[], None] = lambda: None
    ) -> None:
        self.measures: dict[str, Scalar] = {}
        self.curves: dict[str, str] = {}
        self._folder = folder / CURVES
        self._parameters = parameters
        self._recorded = recorded
        with writing(self._folder):
            if self._folder.is_dir():
                shutil.rmtree(self._folder)

    def record(self, measures: Mapping[str, object]) -> None:
        """Store measures; see `Run.record`."""
        before = len(self.measures)
        try:
            for name, value in measures.items():
                self._refuse_name(name)
                self.measures[name] = measure(name, value)
        finally:
            if len(self.measures) > before:
                self._recorded()

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
        """Store a curve; see `Run.curve`."""
        if not isinstance(name, str) or not name:
            raise SweepError(f"a curve's name is {name!r}: it must be a string, not empty")
        if name in self.curves:
            raise SweepError(f"the curve {name!r} is recorded twice: choose another name")
        xs, ys = points_of(name, "x", x), points_of(name, "y", y)
        if len(xs) != len(ys):
            raise SweepError(
                f"the curve {name!r} has {len(xs)} x and {len(ys)} y: they must be equally many"
            )
        curve = KeptCurve(name, xs, ys, str(x_label), str(y_label), x_reversed=bool(x_reversed))
        self.curves[name] = write_curve(self._folder, curve)

    def _refuse_name(self, name: object) -> None:
        stored_name(name, "a measure")
        if name in self.measures:
            raise SweepError(f"the measure {name!r} is recorded twice: choose another name")
        if name in self._parameters:
            raise SweepError(f"the measure {name!r} is the name of a parameter: choose another")
        if name in COLUMNS:
            raise SweepError(
                f"the measure {name!r} is the name of a column of the results: choose another"
            )


_MOST_BITS = 4096
"""Python writes no integers of more than 4300 digits."""


def measure(name: str, value: object) -> Scalar:
    """Convert a measure to a plain Python number, text or boolean; nan and infinities are kept.

    Raises `SweepError`, with the name, for anything else.
    """
    package = type(value).__module__.partition(".")[0]
    if package in {"numpy", "pandas"} and hasattr(value, "item") and not getattr(value, "ndim", 0):
        value = value.item()
    match value:
        case bool():
            return value
        case str():
            return str.__str__(value)  # str() names an enum's member
        case int() if value.bit_length() > _MOST_BITS:
            raise SweepError(
                f"the measure {name!r} is an integer of {value.bit_length()} bits, more than "
                f"{_MOST_BITS}: record its logarithm"
            )
        case int():
            return int(value)
        case float():
            return float(value)
    fix = "leave it out, or record nan" if value is None else "record a number, a text or a boolean"
    raise SweepError(
        f"the measure {name!r} is {value!r:.80}, of type {type(value).__name__}: {fix}"
    )


CURVES = ".remex/curves"
_NUMBERS = "biuf"
"""NumPy's kinds of numbers that can be converted to floats."""


class KeptCurve(NamedTuple):
    """A curve: its points in the order of the line, and the titles of its axes."""

    name: str
    x: Points
    y: Points
    x_label: str = ""
    y_label: str = ""
    x_reversed: bool = False


def points_of(name: str, axis: str, values: Sequence[float]) -> Points:
    """Return a curve's coordinates along an axis. Raises `SweepError` if they are not numbers."""
    import numpy as np  # noqa: PLC0415 - a tenth of a second

    wrong = f"the {axis} of the curve {name!r} must be a list of numbers"
    try:
        found = np.asarray(values)
        if found.dtype.kind == "O":
            found = found.astype(float)
    except (TypeError, ValueError) as error:
        raise SweepError(f"{wrong}: {error}") from None
    if found.ndim != 1 or (found.dtype.kind not in _NUMBERS and found.size):
        raise SweepError(f"{wrong}, not {found.ndim}-dimensional {found.dtype}")
    return found.astype(np.float64)


def write_curve(folder: Path, curve: KeptCurve) -> str:
    """Write a curve into the folder of a run's curves, and return a digest of it.

    Raises `RecordError` if it cannot be written.
    """
    import numpy as np  # noqa: PLC0415 - see above

    about = json.dumps(
        {
            "name": curve.name,
            "x_label": curve.x_label,
            "y_label": curve.y_label,
            "x_reversed": curve.x_reversed,
        }
    )
    content = io.BytesIO()
    np.savez(content, x=curve.x, y=curve.y, about=np.array(about))
    path = folder / _file_name(curve.name)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content.getbuffer())
        draft.replace(path)
    parts = (about.encode(), curve.x.tobytes(), curve.y.tobytes())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def read_curves(outputs: Path) -> list[KeptCurve]:
    """Return a run's recorded curves, given the folder of its outputs.

    Raises `RemexError` if a file is damaged.
    """
    folder = outputs / CURVES
    if not folder.is_dir():
        return []
    return [_read(path) for path in sorted(folder.glob("*.npz"))]


def _read(path: Path) -> KeptCurve:
    import numpy as np  # noqa: PLC0415 - see above

    try:
        with np.load(path, allow_pickle=False) as kept:
            about = json.loads(str(kept["about"]))
            x, y = kept["x"].astype(np.float64), kept["y"].astype(np.float64)
        return KeptCurve(
            str(about["name"]),
            x,
            y,
            str(about["x_label"]),
            str(about["y_label"]),
            x_reversed=bool(about["x_reversed"]),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise RemexError(
            f"{path} cannot be read as a curve ({error}): remove it, and collect again"
        ) from None


def _file_name(name: str) -> str:
    return f"{slug(name)[:80]}-{text_digest(name)[:8]}.npz"
