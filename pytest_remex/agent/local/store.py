"""The local scheduler's files: jobs, which of them are released or cancelled, and states."""

import fcntl
import hashlib
import json
import os
import time
from typing import IO, Container, Dict, Iterator, List, NamedTuple, Optional

from pytest_remex.agent import fs
from pytest_remex.agent.errors import UnreadableError
from pytest_remex.common import paths
from pytest_remex.common.jobs import number_of
from pytest_remex.common.paths import LocalSpec, LocalState
from pytest_remex.common.typed_json import dumps

RELEASED, CANCELLED = "released", "cancelled"
"""The marks that a job can have: folders with an empty file per job, which the queue reads."""
_FOLDERS = ("jobs", "states", RELEASED, CANCELLED, "environments")


class Task(NamedTuple):
    """One process to start: a job, or one task of an array."""

    id: str
    directory: str
    array_index: Optional[int]
    spec: LocalSpec


def tasks(spec: LocalSpec) -> Iterator[Task]:
    """Return a job's tasks: one, or those of an array."""
    for index, directory in enumerate(spec.directories):
        if spec.array:
            yield Task(f"{spec.id}_{index}", directory, index, spec)
        else:
            yield Task(spec.id, directory, None, spec)


def lock(path: str) -> Optional[IO[str]]:
    """Lock a file and return it open; None if another process has the lock. Closing unlocks."""
    file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - the open file is the lock
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


class Store:
    """The local scheduler's folder in a runs folder.

    Methods that read a file raise `UnreadableError` if it is damaged.
    """

    def __init__(self, runs: str) -> None:
        self.runs = runs
        self.folder = paths.local(runs)
        for name in _FOLDERS:
            os.makedirs(self.path(name), mode=0o700, exist_ok=True)

    def path(self, *names: str) -> str:
        """Return a path in the folder."""
        return os.path.join(self.folder, *names)

    def add(self, spec: LocalSpec, first: int) -> str:
        """Store a held job under the first free id from `first` on, and return that id."""
        number = first
        while not fs.create(self.path("jobs", str(number)), _spec_text(spec, number)):
            number += 1
        return str(number)

    def next_id(self) -> int:
        """Return an id above all existing ones."""
        names = fs.listing(self.path("jobs"))
        return max((int(name) for name in names if name.isdigit()), default=0) + 1

    def withdraw(self, job: str) -> None:
        """Delete a job that was never released."""
        fs.remove(self.path("jobs", job))

    def spec(self, job: str) -> Optional[LocalSpec]:
        """Return a job by its id or the id of one of its tasks; None if it does not exist."""
        path = self.path("jobs", number_of(job))
        return fs.parse(LocalSpec, path, fs.read(path))

    def mark(self, mark: str, job: str) -> None:
        """Set a mark on a job."""
        fs.touch(self.path(mark, job))

    def unmark(self, mark: str, job: str) -> None:
        """Remove a mark from a job."""
        fs.remove(self.path(mark, job))

    def marked(self, mark: str, known: Container[str] = ()) -> List[str]:
        """Return the ids with a mark, except the `known` ones, in the order of submission."""
        names = (name for name in fs.listing(self.path(mark)) if name not in known)
        ids = (name for name in names if name.replace("_", "").isdigit())
        return sorted(ids, key=lambda name: [int(part) for part in name.split("_")])

    def state(self, task: str) -> Optional[LocalState]:
        """Return a task's state; None before it has started."""
        path = self.path("states", task)
        return fs.parse(LocalState, path, fs.read(path))

    def has_started(self, task: str) -> bool:
        """Return whether a task has started, or will never start."""
        return os.path.lexists(self.path("states", task))

    def write_state(self, task: str, state: LocalState) -> None:
        """Store a task's state."""
        fs.replace(self.path("states", task), dumps(state, paths.DISK_FORMAT))

    def keep_environment(self, environment: Dict[str, str]) -> str:
        """Store an environment, readable only by the user, and return its name."""
        text = json.dumps(environment, sort_keys=True)
        name = hashlib.sha256(text.encode("ascii")).hexdigest()[:16]
        if fs.create(self.path("environments", name), text):
            os.chmod(self.path("environments", name), 0o600)
        return name

    def environment(self, name: str) -> Dict[str, str]:
        """Return a stored environment."""
        path = self.path("environments", name)
        try:
            variables = json.loads(fs.read(path) or "{}")
        except (ValueError, RecursionError) as error:
            raise UnreadableError(path, f"it is not JSON ({error})") from error
        if not isinstance(variables, dict):
            raise UnreadableError(path, "it is not an object")
        return {name: str(text) for name, text in variables.items()}


def _spec_text(spec: LocalSpec, number: int) -> str:
    return dumps(spec._replace(id=str(number), submitted=time.time()), paths.DISK_FORMAT)
