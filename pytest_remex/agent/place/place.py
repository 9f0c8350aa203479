"""Place run directories: each is its commit's files, and appears whole or not at all."""

import contextlib
import json
import os
import shutil
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from pytest_remex.agent import fs, processes
from pytest_remex.agent.errors import AgentError, disk_error
from pytest_remex.agent.place import fetch, git, objects, shared, stage
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.protocol import (
    Fetched,
    ListTips,
    Place,
    Placed,
    PlaceRefused,
    Tidied,
    Tidy,
    Tips,
)

BATCH = 100
"""Run directories built side by side; a large file is open in all of them at once."""
LONGEST = 255


class Placing(NamedTuple):
    """One run directory to be made: its name, its commit, and what `.remex/run.json` will say."""

    directory: str
    tree: str
    about: Dict[str, Any]


def list_tips(request: ListTips, reply: Reply) -> None:
    """Tell the commits that the clone has."""
    reply.send(Tips(git.tips(request.clone)))


def tidy(request: Tidy, reply: Reply) -> None:
    """Delete what a launch needed only while it was placed."""
    fetch.forget(request.clone, request.launch)
    shutil.rmtree(paths.staging(request.runs, request.token), ignore_errors=True)
    reply.send(Tidied())


def place(request: Place, reply: Reply) -> None:
    """Fetch the launch's commits and place its run directories."""
    try:
        with _scratch(request.runs, request.token) as scratch:
            fetch.fetch(request.clone, request.launch, request.source, scratch)
            reply.send(Fetched())
            _place_all(request, reply, scratch)
    except OSError as error:
        raise disk_error(error, request.runs) from error


def _place_all(request: Place, reply: Reply, scratch: str) -> None:
    clone, runs, base = request.clone, request.runs, request.base
    todo = [run for run in _placings(request) if not _settled(runs, run, reply)]
    if not todo:
        return
    _check_commits(clone, todo)
    entries = objects.tree(clone, base)
    plan = shared.plan(paths.base(runs, base), request.shared, entries)
    base_tree = git.ask(clone, "rev-parse", base + "^{tree}").strip()
    differing = objects.changes(clone, [(base_tree, run.tree) for run in todo])
    with contextlib.closing(objects.Blobs(clone)) as blobs:
        shared.keep(plan, runs, blobs, scratch)
        for start in range(0, len(todo), BATCH):
            reply.check()
            several = todo[start : start + BATCH]
            _build(blobs, scratch, several, plan, differing[start : start + BATCH])
            for run in several:
                _claim(runs, scratch, run, reply)


def _placings(request: Place) -> List[Placing]:
    common = {"launch": request.launch, "token": request.token}
    found = []
    for run in request.placements:
        about = {"sha": run.sha, "parent": run.parent, "tree": run.tree}
        found.append(Placing(run.directory, run.tree, {**common, **about, **run.meta}))
    return found


def _settled(runs: str, run: Placing, reply: Reply) -> bool:
    name = run.directory
    if os.path.basename(name) != name or name.startswith(".") or len(os.fsencode(name)) > LONGEST:
        message = f"{name!r} cannot name a run directory; it must be 1 to {LONGEST} bytes without /"
        reply.send(PlaceRefused(name, message))
        return True
    path = os.path.join(runs, name)
    if not os.path.lexists(path):
        return False
    _tell_owner(path, run, reply)
    return True


def _tell_owner(path: str, run: Placing, reply: Reply) -> None:
    found = fs.read_json(paths.run_json(path))
    if all(found.get(key) == run.about[key] for key in ("token", "sha")):
        reply.send(Placed(run.directory))
        return
    owner = f"launch {found['launch']}" if "launch" in found else "something else"
    message = f"{path} is there already and belongs to {owner}; move it away or launch again"
    reply.send(PlaceRefused(run.directory, message))


def _check_commits(clone: str, todo: List[Placing]) -> None:
    asked = "".join(run.about["sha"] + "^{tree}\n" for run in todo)
    rows = git.ask(clone, "cat-file", "--batch-check", text=asked).splitlines()
    for number, run in enumerate(todo):
        if rows[number].split()[0] != run.tree:
            message = f"commit {run.about['sha']} is not in {clone} with the tree {run.tree}"
            raise AgentError("git", message + "; launch again")


def _build(
    blobs: objects.Blobs,
    scratch: str,
    several: List[Placing],
    plan: shared.Plan,
    differing: List[Dict[bytes, objects.TreeEntry]],
) -> None:
    wanted: Dict[objects.TreeEntry, List[stage.Folder]] = {}
    for number, run in enumerate(several):
        path = os.path.join(scratch, run.directory)
        folder = stage.Folder(path)
        _write_about(path, run)
        for entry in _entries(plan, differing[number], folder):
            wanted.setdefault(entry, []).append(folder)
    stage.check(wanted)
    stage.fill(blobs, wanted)


def _entries(
    plan: shared.Plan, changed: Dict[bytes, objects.TreeEntry], folder: stage.Folder
) -> Iterator[objects.TreeEntry]:
    linked = plan.linked(changed)
    for path in linked:
        os.symlink(plan.target(path), folder.place_for(path))
    for entry in plan.entries(linked):
        if entry.path not in changed:
            yield entry
    for entry in changed.values():
        if entry.mode != stage.GONE:
            yield entry


def _write_about(path: str, run: Placing) -> None:
    os.mkdir(paths.keep(path))
    with open(paths.run_json(path), "w", encoding="utf-8") as file:
        file.write(json.dumps(run.about, indent=1) + "\n")


def _claim(runs: str, scratch: str, run: Placing, reply: Reply) -> None:
    path = os.path.join(runs, run.directory)
    try:
        os.rename(os.path.join(scratch, run.directory), path)
    except OSError:
        # taken meanwhile: by an agent of the same launch, or by somebody else
        if not os.path.lexists(path):
            raise
        _tell_owner(path, run, reply)
    else:
        reply.send(Placed(run.directory))


@contextlib.contextmanager
def _scratch(runs: str, token: str) -> Iterator[str]:
    above = paths.staging(runs, token)
    fs.make_common(runs, os.path.dirname(above))
    os.makedirs(above, exist_ok=True)
    for name in os.listdir(above):
        if _abandoned(name):
            shutil.rmtree(os.path.join(above, name), ignore_errors=True)
    scratch = os.path.join(above, fs.unique())
    os.mkdir(scratch)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(above)


def _abandoned(name: str) -> bool:
    pid = _pid_here(name)
    return pid is not None and processes.birth(pid) is None


def _pid_here(name: str) -> Optional[int]:
    host, _, rest = fs.unique().rpartition(".")[0].rpartition(".")
    found, _, number = name.rpartition(".")[0].rpartition(".")
    return int(number) if found == host and number.isdigit() and rest else None
