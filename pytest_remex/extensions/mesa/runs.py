"""What a MESA run says of itself: why it ended, and the photos that it can go on from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_TERMINATION = re.compile(r"^[ \t]*termination code:[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_TERMINATED = re.compile(r"^[ \t]*terminated evolution:?[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_SAVED = re.compile(r"^[ \t]*save photos/(\w[\w.-]*) for model[ \t]+\d+", re.MULTILINE)
_PHOTOS = "photos"


def endings(log: str) -> dict[str, str]:
    """Find in a job's output why the evolution ended, as columns of the results.

    `termination_code` is MESA's word where a stopping condition was met, `terminated_evolution`
    where it gave up; the last counts. Source: star/job/run_star_support.f90 of MESA.
    """
    lines = {
        "termination_code": _found(_TERMINATION, "termination code:", log),
        "terminated_evolution": _found(_TERMINATED, "terminated evolution", log),
    }
    return {name: each[-1] for name, each in lines.items() if each}


def measures(log: str, folder: Path) -> dict[str, str | int]:
    """Give the columns of the results that a MESA run adds; none for another program's.

    `termination_code`, `terminated_evolution`: see `endings`; `last_photo`, and `photos`, how many
    photos are among the outputs.
    """
    here = photos(folder)
    saved = _saved(log) or here
    found: dict[str, str | int] = {**endings(log)}
    if saved:
        found["last_photo"] = saved[-1]
    if here:
        found["photos"] = len(here)
    return found


def photos(folder: Path) -> list[str]:
    """List the photos in the folder `photos` of a run's outputs, the newest last."""
    here = folder / _PHOTOS
    found = [path for path in here.glob("*x[0-9]*") if path.is_file()] if here.is_dir() else []
    return [path.name for path in sorted(found, key=lambda path: (path.stat().st_mtime, path.name))]


def last_photo(log: str, folder: Path) -> str | None:
    """Name the last photo that a run saved: from its output, else from what was fetched."""
    saved = _saved(log) or photos(folder)
    return saved[-1] if saved else None


def _saved(log: str) -> list[str]:
    return _found(_SAVED, "save photos/", log)


def _found(pattern: re.Pattern[str], words: str, log: str) -> list[str]:
    """Give what a pattern that needs these words finds; `in` tells at once where they are not."""
    return pattern.findall(log) if words in log else []
