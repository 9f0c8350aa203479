"""What a lost connection is told as: what was lost, during what work, and the mend."""

from __future__ import annotations

from pytest_remex.errors import ConnectionLostError
from pytest_remex.io import AGAIN

_WORK = {
    "LookAtHost": "the remote was looked at",
    "ListTips": "the clone's commits were asked for",
    "Place": "run directories were placed",
    "Submit": "jobs were submitted",
    "Release": "jobs were released",
    "Query": "states were asked for",
    "Cancel": "jobs were cancelled",
    "ListOutputs": "outputs were listed",
    "Tidy": "the launch was tidied up",
}


def lost(what: str, work: str) -> ConnectionLostError:
    """Say that `what`, a clause which names the place, happened while `work` was under way.

    `work` is a request's name, or a clause of its own.
    """
    return ConnectionLostError(
        f"{what} while {_WORK.get(work, work)}: how far that came is unknown; "
        f"{AGAIN}: it finds out, and goes on"
    )
