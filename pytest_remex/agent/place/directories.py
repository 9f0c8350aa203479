"""Place run directories: each has its commit's files, and appears complete or not at all."""

import contextlib
import json
import os
import shutil
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Union

from pytest_remex.agent import claims, fs, process
from pytest_remex.agent.errors import AgentError, UnreadableError, disk_error
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.place import git, objects, stage
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.git import ABSENT
from pytest_remex.common.paths import LONGEST_NAME, RunNote
from pytest_remex.common.protocol import (
    ListTips,
    Place,
    Placed,
    PlaceRefused,
    Tidy,
    Tips,
)
from pytest_remex.common.typed_json import FORMAT

BATCH = 100
"""How many run directories are built together; a large file is open in all of them at once."""


class RunToPlace(NamedTuple):
    """A run directory to make, and the content of its `run.json`: `note` and `meta`.

    `claim` is the name of the claim that it belongs to.
    """

    directory: str
    note: RunNote
    meta: Dict[str, Any]
    claim: str


def list_tips(request: ListTips, reply: Reply) -> None:
    """Send the commits that the clone has."""
    reply.send(Tips(git.tips(request.clone)))


def tidy(request: Tidy, _reply: Reply) -> None:
    """Delete a launch's refs and staging folder, which only `place` needed."""
    git.forget(request.clone, request.worker or request.launch)
    staging = paths.staging(request.runs, request.worker or request.token)
    shutil.rmtree(staging, ignore_errors=True)


def place(request: Place, reply: Reply) -> None:
    """Fetch the launch's commits and place its run directories."""
    try:
        with _scratch(request.runs, request.worker or request.token) as scratch:
            git.fetch(request.clone, request.worker or request.launch, request.source, scratch)
            _place_all(request, reply, scratch)
    except OSError as error:
        raise disk_error(error, request.runs) from error


def _place_all(request: Place, reply: Reply, scratch: str) -> None:
    clone, runs, base = request.clone, request.runs, request.base
    missing = [run for run in _runs_to_place(request) if not _answered(runs, run, reply)]
    if not missing:
        return
    base_tree = _check_commits(clone, base, missing)
    entries = objects.tree(clone, base)
    shared = stage.plan(paths.base(runs, base), request.shared, entries, request.left_out)
    changes = objects.changes(clone, [(base_tree, run.note.tree) for run in missing])
    with contextlib.closing(objects.Blobs(clone)) as blobs:
        stage.copy_shared(shared, runs, blobs, scratch)
        for start in range(0, len(missing), BATCH):
            reply.raise_if_disconnected()
            batch = missing[start : start + BATCH]
            _build(blobs, scratch, batch, shared, changes[start : start + BATCH])
            for run in batch:
                _publish(runs, scratch, run, reply)


def _runs_to_place(request: Place) -> List[RunToPlace]:
    return [
        RunToPlace(
            run.directory,
            RunNote(request.launch, request.token, run.sha, run.parent, run.tree),
            run.meta,
            run.claim,
        )
        for run in request.placements
    ]


def _answered(runs: str, run: RunToPlace, reply: Reply) -> bool:
    """Answer for a run directory that exists or cannot be made; return False if it is to make."""
    name = run.directory
    if (
        os.path.basename(name) != name
        or name.startswith(".")
        or len(os.fsencode(name)) > LONGEST_NAME
    ):
        message = (
            f"{name!r} cannot name a run directory; it must be 1 to {LONGEST_NAME} bytes without /"
        )
        reply.send(PlaceRefused(name, message))
        return True
    path = os.path.join(runs, name)
    if not os.path.lexists(path):
        return False
    _tell_existing(runs, run, reply)
    return True


def _tell_existing(runs: str, run: RunToPlace, reply: Reply) -> None:
    answer = _existing(os.path.join(runs, run.directory), run)
    if isinstance(answer, Placed):
        claims.mark_placed(runs, run.claim)
    reply.send(answer)


def _existing(path: str, run: RunToPlace) -> Union[Placed, PlaceRefused]:
    """Return the answer about a run directory that exists: it is ours, or in the way."""
    try:
        note = RunFiles(path).load(RunNote, paths.RUN)
    except UnreadableError as error:
        return PlaceRefused(run.directory, f"{error}; move it away, or run the same command again")
    if note and (note.token, note.sha) == (run.note.token, run.note.sha):
        return Placed(run.directory)
    owner = f"launch {note.launch}" if note and note.launch else "something else"
    message = (
        f"{path} exists already and belongs to {owner}; move it away, or run the same command again"
    )
    return PlaceRefused(run.directory, message)


def _check_commits(clone: str, base: str, runs: List[RunToPlace]) -> str:
    """Check that the clone has the commits with their trees; return the tree of their base."""
    asked = "".join(sha + "^{tree}\n" for sha in [base, *(run.note.sha for run in runs)])
    rows = git.ask(clone, "cat-file", "--batch-check", text=asked).splitlines()
    base_tree, *trees = (row.split()[0] for row in rows)
    for number, run in enumerate(runs):
        if trees[number] != run.note.tree:
            message = f"commit {run.note.sha} is not in {clone} with the tree {run.note.tree}"
            raise AgentError("git", f"{message}; run the same command again")
    return base_tree


def _build(
    blobs: objects.Blobs,
    scratch: str,
    batch: List[RunToPlace],
    shared: stage.SharedPaths,
    changes: List[Dict[bytes, objects.TreeEntry]],
) -> None:
    wanted: Dict[objects.TreeEntry, List[stage.Folder]] = {}
    for number, run in enumerate(batch):
        path = os.path.join(scratch, run.directory)
        folder = stage.Folder(path)
        _write_note(path, run)
        for entry in _entries(shared, changes[number], folder):
            wanted.setdefault(entry, []).append(folder)
    stage.check(wanted)
    stage.fill(blobs, wanted)


def _entries(
    shared: stage.SharedPaths, changed: Dict[bytes, objects.TreeEntry], folder: stage.Folder
) -> Iterator[objects.TreeEntry]:
    """Make the links to shared paths; return the files to copy into the run directory."""
    linked = shared.unchanged(changed)
    for path in linked:
        os.symlink(shared.target(path), folder.path_for(path))
    for entry in shared.copied(linked):
        if entry.path not in changed:
            yield entry
    for entry in changed.values():
        if entry.mode != ABSENT:
            yield entry


def _write_note(path: str, run: RunToPlace) -> None:
    os.mkdir(paths.remex(path))
    note = {FORMAT: paths.DISK_FORMAT, **run.note._asdict(), **run.meta}
    with open(paths.in_run(path, paths.RUN), "w", encoding="utf-8") as file:
        file.write(json.dumps(note, indent=1) + "\n")


def _publish(runs: str, scratch: str, run: RunToPlace, reply: Reply) -> None:
    path = os.path.join(runs, run.directory)
    try:
        os.rename(os.path.join(scratch, run.directory), path)
    except OSError:
        # made meanwhile by an agent of the same launch, or by someone else
        if not os.path.lexists(path):
            raise
        _tell_existing(runs, run, reply)
    else:
        claims.mark_placed(runs, run.claim)
        reply.send(Placed(run.directory))


@contextlib.contextmanager
def _scratch(runs: str, worker: str) -> Iterator[str]:
    above = paths.staging(runs, worker)
    fs.make_common(runs, os.path.dirname(above))
    scratch = _make_below(above)
    try:
        for name in os.listdir(above):
            if _abandoned(name):
                shutil.rmtree(os.path.join(above, name), ignore_errors=True)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(above)


def _make_below(above: str) -> str:
    """Make a folder below `above`, which other agents of the launch may remove while empty."""
    scratch = os.path.join(above, fs.unique())
    while True:
        os.makedirs(above, exist_ok=True)
        try:
            os.mkdir(scratch)
        except FileNotFoundError:
            continue
        return scratch


def _abandoned(name: str) -> bool:
    pid = _pid_here(name)
    return pid is not None and process.birth(pid) is None


def _pid_here(name: str) -> Optional[int]:
    """Return the process id in a name of `fs.unique`; None if it is from another machine."""
    here, _, _ = fs.unique().rpartition(".")[0].rpartition(".")
    host, _, number = name.rpartition(".")[0].rpartition(".")
    return int(number) if host == here and number.isdigit() else None
