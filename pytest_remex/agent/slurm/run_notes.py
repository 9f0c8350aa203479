"""What a run directory itself knows of its job: a final state seen before, an exit code left."""

import json
import os
from typing import Optional

from pytest_remex.agent import fs
from pytest_remex.common import paths
from pytest_remex.common.jobs import FINAL, Job, JobState
from pytest_remex.common.typed_json import to_json


def recall(folder: str, job: str) -> Optional[Job]:
    """Give a job's final state if it was seen before."""
    seen = fs.read_json(paths.state(folder))
    return Job(**{**seen, "state": JobState(seen["state"])}) if seen.get("id") == job else None


def remember(folder: str, job: Job) -> None:
    """Keep a final state: Slurm forgets it."""
    if job.state not in FINAL or not os.path.isdir(paths.keep(folder)):
        return
    text = json.dumps(to_json(job))
    if fs.read(paths.state(folder)) != text:
        fs.replace(paths.state(folder), text)


def left_exit_code(folder: str, job: str) -> Optional[Job]:
    """Give a job's end by the exit code that it left."""
    text = (fs.read(paths.exit_code(folder)) or "").strip()
    if not text.isdigit():
        return None
    state = JobState.COMPLETED if text == "0" else JobState.FAILED
    return Job(job, state, exit_code=int(text), source="exit file")
