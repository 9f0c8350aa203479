"""What lies in a run directory: list outputs by pattern, show the end of a file."""

import os
from typing import Dict, List

from pytest_remex.agent import globs
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.wire import Reply, Request

TAIL = 1 << 20
"""At most this many bytes are read from the end of a file."""


def outputs(request: Request, talk: Reply) -> None:
    """Tell, for each run, the files that its patterns match, and the patterns that match none."""
    for asked in request["runs_to_list"]:
        talk.check()
        folder = os.path.join(request["runs"], asked["directory"])
        listed = _list(folder, asked["patterns"])
        talk.event("outputs", directory=asked["directory"], **listed)


def tail(request: Request, talk: Reply) -> None:
    """Tell a file's last lines."""
    folder = os.path.realpath(os.path.join(request["runs"], request["directory"]))
    path = os.path.join(folder, request["path"])
    real = os.path.realpath(path)
    if not os.path.isfile(real) or not real.startswith(folder + os.sep):
        raise AgentError("runs", f"{path} is not a file in the run directory; name one that is")
    with open(real, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        lines = file.read(TAIL).decode("utf-8", "replace").splitlines(keepends=True)
    talk.event("tail", text="".join(lines[-request["lines"] :]))


def _list(folder: str, patterns: List[str]) -> Dict[str, object]:
    found = {pattern: list(globs.find(folder, pattern)) for pattern in patterns}
    every = {one.path: one for several in found.values() for one in several}
    return {
        "files": sorted([f.path, f.size, f.mtime_ns] for f in every.values() if not f.link),
        "links": sorted(f.path for f in every.values() if f.link),
        "missing": [pattern for pattern, several in found.items() if not several],
    }
