"""Describe runs without a launch record in the runs folder, from their run directories.

Releases before 0.2 kept no records there, and a purge may have taken those that were. The patches
of such runs are read from the clone, if it still has their commits.
"""

import os
from typing import Dict, Iterable, Iterator, List, Optional

from pytest_remex.agent import fs, record_copies
from pytest_remex.agent.attempts import attempts_in
from pytest_remex.agent.errors import UnreadableError
from pytest_remex.agent.place import git, objects
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.git import ABSENT
from pytest_remex.common.records import FindRuns, FoundRun, Patched, ReadPatches, RunFacts

LARGEST = 1 << 20
"""Bytes of the longest script that is sent."""


def find_runs(request: FindRuns, reply: Reply) -> None:
    """Send the descriptions in run directories without a record, if they have a job."""
    known = {*request.known, *record_copies.names(request.runs)}
    for directory in record_copies.unrecorded(request.runs, known):
        reply.raise_if_disconnected()
        try:
            found = _found(request.runs, directory)
        except UnreadableError:
            continue
        if found is not None:
            reply.send(found)


def read_patches(request: ReadPatches, reply: Reply) -> None:
    """Send what commits changed in their base, if the clone has them."""
    trees = {tree for _, tree in request.commits}
    here = _trees(request.clone, {request.base + "^{tree}", *trees})
    base = here.get(request.base + "^{tree}")
    if base is None:
        return
    present = [(sha, tree) for sha, tree in request.commits if tree in here]
    patches = objects.changes(request.clone, [(base, tree) for _, tree in present])
    for number, (sha, _) in enumerate(present):
        reply.raise_if_disconnected()
        patch = patches[number]
        reply.send(Patched(sha, [*_rows(patch)], _script(request, patch)))


def _found(runs: str, directory: str) -> Optional[FoundRun]:
    path = os.path.join(runs, directory)
    files = fs.RunFiles(path)
    job = (files.read(paths.JOB) or "").strip()
    facts = files.load(RunFacts, paths.RUN)
    if not job or facts is None:
        return None
    numbers = [each.job_number for each in attempts_in(paths.remex(path))] or [1]
    owner = fs.owner(os.lstat(path))
    return FoundRun(directory, facts, job, numbers[-1], owner, _head(path))


def _head(run: str) -> str:
    """Return the script of a run; its job may have put anything there."""
    try:
        return fs.read(os.path.join(run, paths.SCRIPT)) or ""
    except UnreadableError:
        return ""


def _trees(clone: str, names: Iterable[str]) -> Dict[str, str]:
    asked = sorted(names)
    text = "".join(name + "\n" for name in asked)
    rows = git.ask(clone, "cat-file", "--batch-check", text=text).splitlines()
    words = [row.split() for row in rows]
    trees = {n: row[0] for n, row in enumerate(words) if row[1:2] == ["tree"]}
    return {asked[number]: tree for number, tree in trees.items()}


def _rows(patch: Dict[bytes, objects.TreeEntry]) -> Iterator[List[str]]:
    for path, entry in patch.items():
        gone = entry.mode == ABSENT
        mode, blob = (b"", b"") if gone else (entry.mode, entry.blob)
        yield [os.fsdecode(path), mode.decode("ascii"), blob.decode("ascii")]


def _script(request: ReadPatches, patch: Dict[bytes, objects.TreeEntry]) -> Optional[str]:
    """Return the script after the patch, if the patch changed it."""
    entry = patch.get(os.fsencode(request.script))
    if entry is None or entry.mode == ABSENT:
        return None
    blob = entry.blob.decode("ascii")
    if int(git.ask(request.clone, "cat-file", "-s", blob)) > LARGEST:
        return None
    return git.ask(request.clone, "cat-file", "blob", blob)
