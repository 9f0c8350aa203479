"""Job arrays: one sbatch for many runs, each task in its own run directory.

Slurm itself opens a task's output in the run directory, through the link named by the task's
index, so that its own last words about a task are in there too.
"""

import os
import shlex
from typing import Dict, List

from pytest_remex.agent import shebang
from pytest_remex.agent.submissions import Submission
from pytest_remex.common import filenames
from pytest_remex.common.protocol import Array

RUN = r"""
export SLURM_SUBMIT_DIR="$PWD"
@COMMAND@ ./run.sbatch &
run=$!
for name in HUP USR1 USR2 TERM; do trap "kill -s $name $run" "$name"; done
wait "$run"
code=$?
while kill -0 "$run" 2>/dev/null; do
    wait "$run"
    code=$?
done
echo "$code" > .remex/exit
exit "$code"
"""
"""Run the script of the current run directory, pass signals on, and leave its exit code."""
_ENTER = 'cd -P -- "./$SLURM_ARRAY_TASK_ID" || exit 97'


def scripts(array: Array) -> Dict[str, str]:
    """Give the script of an array: the runs' own header, then the task's own run."""
    lines = ["#!/bin/sh", *array.header, "", _ENTER + run_script(array.shebang)]
    return {"run.sbatch": "\n".join(lines)}


def options(unit: Submission, array: Array) -> List[str]:
    """Give what sbatch must be told about a unit's array."""
    throttle = f"%{array.throttle}" if array.throttle else ""
    told = [
        f"--array=0-{len(unit.directories) - 1}{throttle}",
        "--output=" + _in_task(unit.header.output or filenames.ARRAY),
    ]
    return [*told, "--error=" + _in_task(unit.header.error)] if unit.header.error else told


def run_script(line: str) -> str:
    """Give the shell's part that runs ./run.sbatch by its first line."""
    words = " ".join(shlex.quote(word) for word in shebang.words_of(line + "\n"))
    return RUN.replace("@COMMAND@", words)


def has(work_dir: str, job: str, place: str) -> bool:
    """Whether a run directory is what a task runs of the array that starts in a folder."""
    task = os.path.join(work_dir, job.partition("_")[2])
    return os.path.realpath(task) == os.path.realpath(place)


def _in_task(pattern: str) -> str:
    return pattern if os.path.isabs(pattern) else "%a/" + pattern
