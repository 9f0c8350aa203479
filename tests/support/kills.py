"""Kill a client, as `kill -9` does, when its launch record has come to a state, or after a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from support.launches import LONGEST

if TYPE_CHECKING:
    import subprocess

    from support.launches import User

LOOK = 0.001

EDGES = (
    "COMMITTED",
    "PUSHING",
    "PUSHED",
    "PLACED",
    "SUBMITTING",
    "HELD",
    "RELEASED",
    "TIDIED",
)
"""The states of a launch record, in the order in which a launch comes to them."""


def kill_at(user: User, state: str, count: int = 1, *arguments: str) -> bool:
    """Submit, and kill when the launch records have so many more lines of a state.

    Gives whether the command was killed before its end.
    """
    earlier = _lines(user, state)
    process = user.start("--remex-submit", *arguments)
    deadline = time.monotonic() + LONGEST
    while process.poll() is None and _lines(user, state) < earlier + count:
        assert time.monotonic() < deadline, f"no {state} within {LONGEST} s"
        time.sleep(LOOK)
    return _kill(process)


def kill_after(user: User, seconds: float, *arguments: str) -> bool:
    """Submit, and kill after so many seconds; gives whether that came before the end."""
    process = user.start("--remex-submit", *arguments)
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(LOOK)
    return _kill(process)


def _kill(process: subprocess.Popen[str]) -> bool:
    killed = process.poll() is None
    process.kill()
    process.communicate(timeout=LONGEST)
    return killed


def _lines(user: User, state: str) -> int:
    mark = f'"state": "{state}"'.encode()
    records = (user.output / "launches").glob("*.jsonl")
    return sum(path.read_bytes().count(mark) for path in records)
