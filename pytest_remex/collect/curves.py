"""The curves that a sweep function records, at full resolution, in files beside the outputs.

`<outputs>/.remex/curves/<name>.npz` holds the arrays x and y, and `about`: JSON with the curve's
name and the titles of its axes. Nothing in it is pickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from pytest_remex.errors import RemexError, SweepError
from pytest_remex.io import writing
from pytest_remex.names import slug

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

CURVES = ".remex/curves"
_NUMBERS = "biuf"
"""NumPy's kinds of numbers that become floats without a loss of meaning."""


@dataclass(frozen=True, slots=True)
class KeptCurve:
    """A curve: its points in the order of the line, and what its axes are called."""

    name: str
    x: Points
    y: Points
    x_label: str = ""
    y_label: str = ""
    x_reversed: bool = False


def points_of(name: str, axis: str, values: Sequence[float]) -> Points:
    """Return a curve's coordinates along an axis. Raises `SweepError` for what are no numbers."""
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

    Raises `RecordError` where it cannot be written.
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
    """Return the curves that were recorded of a run, by the folder of its outputs.

    Raises `RemexError` where a file is damaged.
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
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{slug(name)[:80]}-{digest}.npz"
