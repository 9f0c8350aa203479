"""The files that pytest-remex keeps in `.remex/`: all their names, and the types of their contents.

`<runs>/.remex/` is shared by all launches, `<run directory>/.remex/` belongs to one run. On the
user's machine the folder of a run's outputs has a `.remex/` too.

Files carry the version of their format (`DISK_FORMAT`; no version means 1). A newer version is
refused; fields that this release does not know are ignored. Jobs can write to these files, so their
contents are not to be trusted.
"""

import os
from typing import Dict, List, NamedTuple, Optional

from pytest_remex.common.jobs import JobState

DISK_FORMAT = 1
"""The format version that this release writes, and the newest that it reads."""

LONGEST_NAME = 255
"""The most bytes in a file name on the file systems of clusters (NAME_MAX)."""

REMEX = ".remex"
"""The folder of pytest-remex in a runs folder, a run directory or a folder of outputs."""

RUN = "run.json"
"""In a run directory's `.remex/`: which launch it belongs to, and what runs in it."""
JOB = "job"
"""In a run directory's `.remex/`: the id of the run's newest job."""
PACK = "pack"
"""In a run directory's `.remex/`: which pack the run belongs to."""
STARTED = "started"
"""In a run directory's `.remex/`: exists once a pack has started the run."""
EXIT = "exit"
"""In a run directory's `.remex/`: the exit code, if the job wrote it."""
CHECK = "check"
"""In a run directory's `.remex/`: a script that looks for what the run brings from its upstream."""
START = "start"
"""In a run directory's `.remex/`: the script to submit if a check must run first."""
UPSTREAM_FAILED = "upstream-failed"
"""In a run directory's `.remex/`: what the check did not find."""
STATE = "state.json"
"""In a run directory's `.remex/`: a final state that was seen."""
SUBMIT = "submit-"
"""Prefix of the files about attempts to submit."""

SCRIPT = "run.sbatch"
"""In the folder of an array or a pack: the batch script; also the default in run directories."""
SUBMISSION = "submission.json"
"""In the folder of an array or a pack: what it submits, for a client that resumes the launch."""
MEMBERS = "runs"
"""In the folder of an array or a pack: the run directories, one per line."""


def leads_out(path: str) -> bool:
    """Return whether a path or pattern leads out of the folder that it should be relative to."""
    return path.startswith("/") or ".." in path.split("/")


def unplaceable(path: bytes) -> str:
    """Return why a commit with this path cannot be a run directory; empty if it can."""
    parts = path.split(b"/")
    if any(part in (b"", b".", b"..") or part.lower() == b".git" for part in parts):
        return "git reserves such a path"
    if parts[0] == os.fsencode(REMEX):
        return "pytest-remex reserves .remex in a run directory"
    return ""


def remex(folder: str) -> str:
    """Return the `.remex` folder of a runs folder or a run directory."""
    return os.path.join(folder, REMEX)


def in_run(run: str, name: str) -> str:
    """Return the path of a file in a run directory's `.remex/`."""
    return os.path.join(run, REMEX, name)


def staging(runs: str, worker: str) -> str:
    """Return the folder where a client builds a launch's run directories."""
    return os.path.join(runs, REMEX, "staging", worker)


def base(runs: str, sha: str) -> str:
    """Return the folder with the read-only copy of a base commit's shared files."""
    return os.path.join(runs, REMEX, "base", sha)


def groups(runs: str) -> str:
    """Return the parent folder of all arrays and packs."""
    return os.path.join(runs, REMEX, "arrays")


def group(runs: str, launch: str, key: str) -> str:
    """Return the working directory of an array's or a pack's job."""
    return os.path.join(groups(runs), f"{launch}-{key}")


def local(runs: str) -> str:
    """Return the local scheduler's folder."""
    return os.path.join(runs, REMEX, "local")


def cancelled(runs: str, job: str) -> str:
    """Return the file that marks a task of a job array as cancelled."""
    return os.path.join(groups(runs), ".cancelled", job)


def clusters(runs: str) -> str:
    """Return the folder with an empty file for each Slurm cluster that jobs were submitted to."""
    return os.path.join(runs, REMEX, "clusters")


def removed(runs: str) -> str:
    """Return the folder that run directories are moved to before they are deleted."""
    return os.path.join(runs, REMEX, "removed")


def attempt(notes: str, job_number: int, number: int) -> str:
    """Return the file of one attempt to submit; sbatch's output goes into it too."""
    return os.path.join(notes, f"{SUBMIT}{job_number}.{number}")


def settled_job(notes: str, job_number: int) -> str:
    """Return the file that records which job a submission became."""
    return os.path.join(notes, f"{SUBMIT}{job_number}.job")


def unit(job_number: int) -> str:
    """Return the name of the file in a run directory's `.remex/` that says who submits its job."""
    return f"unit-{job_number}"


def claim(runs: str, name: str, mark: str = "") -> str:
    """Return a claim's file, or a marker file next to it."""
    return os.path.join(runs, REMEX, "claims", name) + (f".{mark}" if mark else "")


def claimed_point(runs: str, key: str, number: int) -> str:
    """Return the file that names the launch which claimed a point; see `claims.WantedClaim`."""
    return os.path.join(runs, REMEX, "points", key[:2], f"{key[2:]}.{number}")


def launch_records(runs: str) -> str:
    """Return the folder that holds the copies of launch records."""
    return os.path.join(runs, REMEX, "launches")


def launch_record(runs: str, record: str) -> str:
    """Return the copy of a launch record."""
    return os.path.join(launch_records(runs), f"{record}.jsonl")


class RunNote(NamedTuple):
    """Which launch and commit a run directory belongs to, from `run.json`."""

    launch: str = ""
    token: str = ""
    sha: str = ""
    parent: str = ""
    tree: str = ""


class LocalSpec(NamedTuple):
    """A job as submitted to the local scheduler; an array has a task per directory, in order.

    `append` means that its output is appended to that of earlier jobs. `dependency` is as sbatch
    takes it.
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
    dependency: str = ""


class LocalState(NamedTuple):
    """What the local scheduler knows about a task that has started, or that never will.

    `started` is in seconds since 1970, `elapsed` in seconds, `memory` in bytes; `pid` and `birth`
    identify the process of a running task.
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
