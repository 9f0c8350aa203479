"""Packs: many short runs in one allocation, handed out by disBatch (PyPI: disbatch).

All runs of a pack have the same job; what became of each is told by the exit code that it leaves.
"""

import math
import os
import shlex
import shutil
from typing import Dict, List

from pytest_remex.agent import fs
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.slurm import arrays, run_notes
from pytest_remex.agent.submissions import Submission
from pytest_remex.common import filenames, paths
from pytest_remex.common.filenames import DEFAULT_NAME
from pytest_remex.common.jobs import FINAL, Job, JobState
from pytest_remex.common.protocol import Pack

_VARIABLES = {
    "A": "SLURM_JOB_ID",
    "J": "SLURM_JOB_ID",
    "N": "SLURMD_NODENAME",
    "j": "SLURM_JOB_ID",
    "u": "SLURM_JOB_USER",
}
"""Where the task of a pack finds what its file names are made of."""
_BATCH = """
@DISBATCH@ -p ./log/ -c "${SLURM_CPUS_PER_TASK:-1}" tasks
"""
_TASK = """\
cd -P -- "./$1" || exit 97
# a requeued job runs only what did not end
[ -e .remex/exit ] && exit 0
: > .remex/started
"""


def program() -> str:
    """Give disBatch's path, empty when it is not there."""
    return shutil.which("disBatch") or ""


def scripts(unit: Submission, pack: Pack) -> Dict[str, str]:
    """Give a pack's scripts: the allocation's, disBatch's tasks, and what each task does."""
    found = program()
    if not found:
        message = "disBatch is not on PATH there; install it: python3 -m pip install disbatch"
        raise AgentError("slurm", message)
    batch = _BATCH.replace("@DISBATCH@", shlex.quote(found))
    tasks = "".join(f"sh ./task {number}\n" for number in range(len(unit.directories)))
    task = _TASK + _redirection(unit) + arrays.run_script(pack.shebang)
    return {
        "run.sbatch": "\n".join(["#!/bin/sh", *pack.header, batch]),
        "tasks": tasks,
        "task": task,
    }


def options(pack: Pack) -> List[str]:
    """Give what sbatch must be told about a pack's allocation."""
    told = ["--output=log/slurm-%j.out", "--error=log/slurm-%j.out"]
    if pack.slots:
        told.append(f"--ntasks={pack.slots}")
    if pack.time_limit:
        told.append(f"--time={math.ceil(pack.time_limit / 60)}")
    return told


def join(place: str, folder: str) -> None:
    """Note in a run directory which pack it belongs to."""
    fs.replace(paths.pack(place), os.path.basename(folder) + "\n")


def has(work_dir: str, place: str) -> bool:
    """Whether a run directory belongs to the pack that starts in a folder."""
    return (fs.read(paths.pack(place)) or "").strip() == os.path.basename(work_dir)


def member(job: Job, place: str) -> Job:
    """Give a run's own state from its pack's job."""
    names = set(fs.listing(paths.keep(place)))
    if "exit" in names:
        return run_notes.left_exit_code(place, job.id) or job
    if job.state is JobState.RUNNING and "started" not in names:
        return job._replace(state=JobState.PENDING, reason=f"waits for its turn in job {job.id}")
    if job.state in FINAL and job.state in (JobState.COMPLETED, JobState.FAILED):
        return job._replace(state=JobState.FAILED, reason=f"job {job.id} ended before this run did")
    return job


def _redirection(unit: Submission) -> str:
    """Open the run's outputs as Slurm would for a job of its own."""
    fields = filenames.Fields(name=unit.header.name or DEFAULT_NAME)

    def word(pattern: str) -> str:
        return filenames.as_shell_word(pattern, fields, _VARIABLES)

    out = word(unit.header.output or filenames.SINGLE)
    return f"exec >{out} 2>" + (word(unit.header.error) if unit.header.error else "&1")
