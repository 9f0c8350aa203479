"""What pytest-remex keeps in `.remex/`: the name of every file and folder, and typed contents.

`<runs>/.remex/` belongs to all launches, `<run directory>/.remex/` to one run. On the user's
machine the folder of a run's outputs has a `.remex/` too.

Files carry the version of their format (`DISK_FORMAT`; none is 1). A newer one is refused, fields
that this release does not know are ignored. Jobs can write to these files: what they hold is a
claim.
"""

import os
from typing import Dict, List, NamedTuple, Optional

from pytest_remex.common.jobs import JobState

DISK_FORMAT = 1
"""The version of these files that this release writes, and the newest that it reads."""

REMEX = ".remex"
"""The folder of pytest-remex in a runs folder, a run directory, or a folder of outputs."""

RUN = "run.json"
"""In a run directory's `.remex/`: whose the run directory is, and what runs there."""
JOB = "job"
"""In a run directory's `.remex/`: the id of the run's newest job."""
PACK = "pack"
"""In a run directory's `.remex/`: which pack the run belongs to."""
STARTED = "started"
"""In a run directory's `.remex/`: there once a pack has started the run."""
EXIT = "exit"
"""In a run directory's `.remex/`: the exit code that a job may leave."""
STATE = "state.json"
"""In a run directory's `.remex/`: a final state that was seen."""
SUBMIT = "submit-"
"""How the names of the notes about submissions begin."""

OUTPUTS = "outputs.json"
"""In the `.remex/` of a folder of outputs: what was fetched."""
JUDGED = "judged.json"
"""In the `.remex/` of a folder of outputs: what the checks said."""

SCRIPT = "run.sbatch"
"""The script that is submitted in the folder of an array or a pack, and by default in run
directories."""
SUBMISSION = "submission.json"
"""In the folder of an array or a pack: what it submits, for a client that goes on with it."""
MEMBERS = "runs"
"""In the folder of an array or a pack: the run directories, one a line."""


def unplaceable(path: bytes) -> str:
    """Return why a commit that holds a path is not placed; empty where nothing is wrong."""
    parts = path.split(b"/")
    if any(part in (b"", b".", b"..") or part.lower() == b".git" for part in parts):
        return "git keeps such a path for itself"
    if parts[0] == os.fsencode(REMEX):
        return "pytest-remex keeps .remex in a run directory for itself"
    return ""


def remex(folder: str) -> str:
    """Return the folder of pytest-remex in a runs folder or a run directory."""
    return os.path.join(folder, REMEX)


def in_run(run: str, name: str) -> str:
    """Return the path of a file in a run directory's `.remex/`."""
    return os.path.join(run, REMEX, name)


def staging(runs: str, worker: str) -> str:
    """Return the folder where a client builds a launch's run directories."""
    return os.path.join(runs, REMEX, "staging", worker)


def base(runs: str, sha: str) -> str:
    """Return the folder with the read-only copy of a base commit's shared paths."""
    return os.path.join(runs, REMEX, "base", sha)


def groups(runs: str) -> str:
    """Return the folder that holds those of arrays and packs."""
    return os.path.join(runs, REMEX, "arrays")


def group(runs: str, launch: str, key: str) -> str:
    """Return the folder that an array or a pack starts in."""
    return os.path.join(groups(runs), f"{launch}-{key}")


def local(runs: str) -> str:
    """Return the local scheduler's folder."""
    return os.path.join(runs, REMEX, "local")


def cancelled(runs: str, job: str) -> str:
    """Return the file that says that a task of a job array was cancelled."""
    return os.path.join(groups(runs), ".cancelled", job)


def removed(runs: str) -> str:
    """Return the folder that run directories are moved to when they are removed."""
    return os.path.join(runs, REMEX, "removed")


def attempt(notes: str, job_number: int, number: int) -> str:
    """Return the note of one attempt to submit, which also takes what sbatch prints."""
    return os.path.join(notes, f"{SUBMIT}{job_number}.{number}")


def settled_job(notes: str, job_number: int) -> str:
    """Return the file that settles which job a submission became."""
    return os.path.join(notes, f"{SUBMIT}{job_number}.job")


def unit(job_number: int) -> str:
    """Return the name of the note in a run directory that says which sbatch submits its job."""
    return f"unit-{job_number}"


def claim(runs: str, name: str, mark: str = "") -> str:
    """Return a claim's file, or a mark beside it."""
    return os.path.join(runs, REMEX, "claims", name) + (f".{mark}" if mark else "")


def launch_records(runs: str) -> str:
    """Return the folder of the copies of launch records."""
    return os.path.join(runs, REMEX, "launches")


def launch_record(runs: str, record: str) -> str:
    """Return the copy of a launch record."""
    return os.path.join(launch_records(runs), f"{record}.jsonl")


class RunNote(NamedTuple):
    """Whose a run directory is (`run.json`, which also holds what the launch says of the run)."""

    launch: str = ""
    token: str = ""
    sha: str = ""
    parent: str = ""
    tree: str = ""


class LocalSpec(NamedTuple):
    """A job as the local scheduler got it; an array's tasks are its directories, in order.

    `append` says that its output comes after that of the jobs before it.
    """

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
    script: str = SCRIPT
    append: bool = False


class LocalState(NamedTuple):
    """What the local scheduler knows of a task that has started, or that will not start.

    `started` is in seconds since 1970, `elapsed` in seconds, `memory` in bytes; `pid` and `birth`
    name the process of a task that runs.
    """

    state: JobState
    reason: str = ""
    started: Optional[float] = None
    elapsed: Optional[float] = None
    exit_code: Optional[int] = None
    signal: Optional[int] = None
    memory: Optional[int] = None
    pid: Optional[int] = None
    birth: Optional[str] = None
