"""What the local scheduler knows, on disk: jobs, who is released or cancelled, and states."""

import hashlib
import json
import os
import time
from typing import Any, Container, Dict, Iterator, List, NamedTuple, Optional

from pytest_remex.agent import fs
from pytest_remex.common import paths

Mark = str
"""`released` or `cancelled`: a folder of empty files, one a job, read by the queue."""


class Spec(NamedTuple):
    """A job as it was submitted; an array's tasks are its directories, in order."""

    id: str
    directories: List[str]
    array: bool
    throttle: Optional[int]
    name: str
    output: Optional[str]
    error: Optional[str]
    time_limit: Optional[float]
    environment: str
    extra: Dict[str, str]
    submitted: float

    def tasks(self) -> Iterator["Task"]:
        """Give what runs: one task, or an array's many."""
        for index, directory in enumerate(self.directories):
            number = index if self.array else None
            yield Task(f"{self.id}_{index}" if self.array else self.id, directory, number, self)


class Task(NamedTuple):
    """One process to be: a job, or one index of an array job."""

    id: str
    directory: str
    number: Optional[int]
    spec: Spec


class Store:
    """The local scheduler's folder in a runs folder."""

    def __init__(self, runs: str) -> None:
        self.runs = runs
        self.folder = paths.local(runs)
        for name in ("jobs", "states", "released", "cancelled", "environments"):
            os.makedirs(self.path(name), mode=0o700, exist_ok=True)

    def path(self, *names: str) -> str:
        """Name something in the folder."""
        return os.path.join(self.folder, *names)

    def add(self, spec: Spec, first: int) -> str:
        """Keep a job, held, under the first free id from `first` on, and give that id."""
        number = first
        while not fs.create(self.path("jobs", str(number)), _spec_text(spec, number)):
            number += 1
        return str(number)

    def next_id(self) -> int:
        """Give an id above all that there are."""
        names = fs.listing(self.path("jobs"))
        return max((int(name) for name in names if name.isdigit()), default=0) + 1

    def withdraw(self, job: str) -> None:
        """Forget a job that was never released."""
        fs.remove(self.path("jobs", job))

    def spec(self, job: str) -> Optional[Spec]:
        """Give a job by its id, or by the id of one of its tasks."""
        data = fs.read_json(self.path("jobs", job.partition("_")[0]))
        return Spec(**data) if data else None

    def mark(self, mark: Mark, job: str) -> None:
        """Set a mark on a job."""
        with open(self.path(mark, job), "w", encoding="utf-8"):
            pass

    def unmark(self, mark: Mark, job: str) -> None:
        """Take a mark off a job."""
        fs.remove(self.path(mark, job))

    def marked(self, mark: Mark, known: Container[str] = ()) -> List[str]:
        """Give the ids that carry a mark and are not known yet, in the order of submission."""
        names = (name for name in fs.listing(self.path(mark)) if name not in known)
        ids = (name for name in names if name.replace("_", "").isdigit())
        return sorted(ids, key=lambda name: [int(part) for part in name.split("_")])

    def has_mark(self, mark: Mark, job: str) -> bool:
        """Whether a job carries a mark."""
        return os.path.exists(self.path(mark, job))

    def state(self, task: str) -> Dict[str, Any]:
        """Give what is known of a task since it started, empty before."""
        return fs.read_json(self.path("states", task))

    def write_state(self, task: str, state: Dict[str, Any]) -> None:
        """Keep what is known of a task."""
        fs.replace(self.path("states", task), json.dumps(state))

    def keep_environment(self, environment: Dict[str, str]) -> str:
        """Keep an environment, readable by the user alone, and give its name."""
        text = json.dumps(environment, sort_keys=True)
        name = hashlib.sha256(text.encode("ascii")).hexdigest()[:16]
        if fs.create(self.path("environments", name), text):
            os.chmod(self.path("environments", name), 0o600)
        return name

    def environment(self, name: str) -> Dict[str, str]:
        """Give a kept environment."""
        return fs.read_json(self.path("environments", name))


def _spec_text(spec: Spec, number: int) -> str:
    return json.dumps(spec._replace(id=str(number), submitted=time.time())._asdict())
