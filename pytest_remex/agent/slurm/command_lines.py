"""The commands of Slurm that the agent runs, for Slurm 19.05 to 25.

Listings are asked for with control characters between fields and before rows: a work directory
may hold any other. `squeue --json` came in 21.08 and changed its shape since, so it is not used.
"""

import os
import pwd
from typing import List

FIELD = "\x1f"
ROW = "\x1e"

LISTED = ("%i", "%A", "%T", "%r", "%M", "%l", "%C", "%m", "%k", "%Z")
ACCOUNTED = (
    "JobID",
    "JobIDRaw",
    "State",
    "ExitCode",
    "ElapsedRaw",
    "TimelimitRaw",
    "MaxRSS",
    "ReqMem",
    "AllocCPUS",
    "Comment",
    "WorkDir",
)
EXIT_CODES = "JobArrayID:64,exit_code:16"


def version() -> List[str]:
    """Ask for Slurm's version."""
    return ["sbatch", "--version"]


def config() -> List[str]:
    """Ask for the controller's settings."""
    return ["scontrol", "show", "config"]


def listing(cluster: str = "") -> List[str]:
    """List the user's jobs that the controller remembers, one row a task."""
    layout = ROW + FIELD.join(LISTED)
    return ["squeue", *_of(cluster), *_MINE, "-u", str(os.getuid()), "-o", layout]


def exit_codes(jobs: List[str], cluster: str = "") -> List[str]:
    """List exit codes, as wait status, in columns; `-o` has no letter for them."""
    return ["squeue", *_of(cluster), *_MINE, "-j", ",".join(jobs), "-O", EXIT_CODES]


def accounts(jobs: List[str], since: str, cluster: str = "") -> List[str]:
    """Ask the accounting for jobs and their steps; `since` is a time, or sacct takes midnight."""
    which = ["-j", ",".join(jobs), "-S", since]
    return ["sacct", *_of(cluster), *_PARSABLE, *which, "-o", ",".join(ACCOUNTED)]


def accounts_of_user(since: str, cluster: str = "") -> List[str]:
    """Ask the accounting for all of the user's jobs since a time."""
    which = ["-X", "-u", str(os.getuid()), "-S", since]
    return ["sacct", *_of(cluster), *_PARSABLE, *which, "-o", ",".join(ACCOUNTED)]


def show(job: str, cluster: str = "") -> List[str]:
    """Ask the controller for one job."""
    return ["scontrol", *_of(cluster), "-o", "show", "job", job]


def release(jobs: List[str], cluster: str = "") -> List[str]:
    """Release held jobs."""
    return ["scontrol", *_of(cluster), "release", ",".join(jobs)]


def cancel(jobs: List[str], cluster: str = "") -> List[str]:
    """Cancel jobs. No filter goes with it: with one, `scancel 12_3` ends all of job 12 (22.05)."""
    return ["scancel", *_of(cluster), *jobs]


def cancel_held(jobs: List[str], cluster: str = "") -> List[str]:
    """Cancel whole jobs that wait: one that was released meanwhile and runs is spared."""
    return ["scancel", *_of(cluster), "-t", "PENDING", *jobs]


def submit(comment: str, options: List[str], script: str) -> List[str]:
    """Submit a script of the current folder, held, with more options."""
    return ["sbatch", "--parsable", "--hold", f"--comment={comment}", *options, script]


def associations() -> List[str]:
    """Ask for the submit limits of the user's associations, and their QOS."""
    which = ["assoc", "where", f"user={pwd.getpwuid(os.getuid()).pw_name}"]
    return ["sacctmgr", "-n", "-P", "show", *which, "format=MaxSubmitJobs,QOS"]


def qualities() -> List[str]:
    """Ask for the submit limits of each QOS."""
    return ["sacctmgr", "-n", "-P", "show", "qos", "format=Name,MaxSubmitPU"]


_MINE = ("-h", "-a", "-r", "-t", "all")
_PARSABLE = ("-n", "-P", f"--delimiter={FIELD}")


def _of(cluster: str) -> List[str]:
    return ["-M", cluster] if cluster else []
