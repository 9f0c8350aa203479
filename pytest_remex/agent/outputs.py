"""What lies in a run directory: list outputs by pattern."""

import os

from pytest_remex.agent import globs
from pytest_remex.agent.wire import Reply
from pytest_remex.common.protocol import ListedRun, ListOutputs, OutputFile, Outputs


def list_outputs(request: ListOutputs, reply: Reply) -> None:
    """Tell, for each run, the files that its patterns match, and the patterns that match none."""
    for run in request.listed:
        reply.check()
        reply.send(_outputs(os.path.join(request.runs, run.directory), run))


def _outputs(folder: str, run: ListedRun) -> Outputs:
    found = {pattern: list(globs.find(folder, pattern)) for pattern in run.patterns}
    every = {one.path: one for several in found.values() for one in several}
    return Outputs(
        directory=run.directory,
        files=sorted(OutputFile(f.path, f.size, f.mtime_ns) for f in every.values() if not f.link),
        links=sorted(f.path for f in every.values() if f.link),
        missing=[pattern for pattern, several in found.items() if not several],
    )
