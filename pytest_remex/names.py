"""Names of branches, refs, launches, directories, columns and points.

They are safe for git and file systems; floats in the ids of points, such as `mass=10-z=0.02722`,
are short, and unique in their sweep.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from pytest_remex.common.paths import LONGEST_NAME
from pytest_remex.errors import SweepError
from pytest_remex.model import REPLICATE, Config, Dimension, Sweep, Value

FIRST_COLUMNS = {
    "node": "the experiment's node ID",
    "id": "its id in the grid, such as `initial_mass=10`",
}
LAST_COLUMNS = {
    "state": "the job's state",
    "verdict": "PASSED, FAILED, SKIPPED, or the state of a job that has not ended",
    "reason": "why it failed, or why it was not judged",
    "elapsed": "how long the job ran, in seconds",
    "core_hours": "cores times hours",
    "job": "the job's id",
    "commit": "the commit that ran: base commit + patch",
    "base": "the base commit",
    "run_directory": "the run directory's name on the cluster",
    "path": "the folder of the fetched outputs, relative to the table's folder",
    "outputs": "the names of the fetched outputs, as a list",
    "launch": "the launch's id",
    "note": "what `--remex-note` said",
}
COLUMNS = frozenset([*FIRST_COLUMNS, *LAST_COLUMNS])
"""The columns of the results about the experiment itself; the two tables say what each holds."""

CHANGED = "CHANGED SINCE LAUNCH"
"""Added to the verdict of a run that the current patch would not make."""

STAMP = "%Y_%m_%d_%H_%M_%S"
_SUBMITTED = re.compile(r"_time_(\d{4}(?:_\d\d){5})_sha_[0-9a-f]+$")
_SHOWN = 6
"""Floats with more significant digits than this are shortened."""
_FEWEST = 4
_ALL = 17


def slug(text: str) -> str:
    """Reduce a text to letters, digits and `._=+-`, which git and file systems accept."""
    kept = re.sub(r"[^A-Za-z0-9._=+-]+", "-", text)
    kept = re.sub(r"\.{2,}", ".", kept)
    return re.sub(r"^[-.]+|(\.lock|[-.])+$", "", kept) or "unnamed"


def label(name: str) -> str:
    """Return the name of a sweep's folder and launches; it is unique for each sweep."""
    plain = slug(name)
    if plain == name:
        return plain
    return f"{plain}-{text_digest(name)[:6]}"


def safe_folder(name: str) -> str:
    """Return a folder's name for any text; different texts get different folders, in any case.

    Example:
        >>> safe_folder("v1.2"), safe_folder("fix/eos")
        ('v1.2', 'fix-eos~bc67a034')

    """
    plain = slug(name)[:100]
    if plain == name == name.lower():
        return plain
    return f"{plain}~{text_digest(name)[:8]}"


def text_digest(text: str) -> str:
    """Return a digest of any text, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def launch_id(name: str, when: datetime) -> str:
    """Return the id of a launch: `tams_2026_01_31_12_00_00`."""
    return f"{label(name)}_{when.strftime(STAMP)}"


def launch_time(launch: str) -> datetime:
    """Return the time in a launch's id."""
    return datetime.strptime(launch_stamp(launch), STAMP)  # noqa: DTZ007 - local time, as named


def launch_stamp(launch: str) -> str:
    """Return the time in a launch's id as text: of several launches the newest has the last."""
    return launch[-19:]


def launch_label(launch: str) -> str:
    """Return the label of the sweep in a launch's id."""
    return launch[:-20]


def submit_time(directory: str) -> datetime | None:
    """Return when a run was submitted, from its run directory's name; None if it has no time."""
    found = _SUBMITTED.search(directory)
    try:
        return datetime.strptime(found[1], STAMP) if found else None  # noqa: DTZ007 - local time
    except ValueError:
        return None


def temporary_branch(launch: str) -> str:
    """Return the branch that carries a launch's commits to origin and is deleted afterwards."""
    return f"remex/{launch}"


def keep_ref(launch: str) -> str:
    """Return the local ref that keeps a launch's commits from garbage collection."""
    return f"refs/remex/{launch}"


def run_directory(branch: str, launch: str, sha: str) -> str:
    """Return a run directory's name: `<branch>_<name>_time_<launch's time>_sha_<12 hex>`.

    Raises `SweepError` if the name is too long for file systems.
    """
    directory = f"{slug(branch)}{directory_end(launch, sha)}"
    if len(directory) > LONGEST_NAME:
        raise SweepError(
            f"the run directory's name {directory!r} has {len(directory)} bytes, over "
            f"{LONGEST_NAME}: choose a shorter name=... for the sweep, or a shorter branch name"
        )
    return directory


def directory_end(launch: str, sha: str) -> str:
    """Return the end of a run directory's name, after its branch."""
    return f"_{launch_label(launch)}_time_{launch_stamp(launch)}_sha_{sha[:12]}"


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


def with_full_id(text: str, sweep: Sweep, point: Config) -> str:
    """Replace a point's id in a text, such as a node id, by the id with all digits.

    Commit messages have it, so that a commit does not depend on the other values of the grid.
    """
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
