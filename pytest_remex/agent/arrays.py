"""Job arrays: one sbatch for many runs, each task in its own run directory.

The array starts in a folder of its own that holds a link to each run directory, named by the
task's index: Slurm itself opens a task's output through it, in the run directory.
"""

import os
import shlex
import shutil
from typing import List

from . import files, paths, shebang
from .faults import AgentError
from .units import Array, Unit

DEFAULT_OUTPUT = "slurm-%A_%a.out"
"""Slurm's own for arrays."""
_TASK = r"""
cd -P -- "./$SLURM_ARRAY_TASK_ID" || exit 97
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


def prepare(unit: Unit) -> None:
    """Make the folder that a unit's array starts in; nothing to do for a single run."""
    if unit.array is None:
        return
    listed = "".join(name + "\n" for name in unit.directories)
    if not os.path.isdir(unit.folder):
        built = f"{unit.folder}.{files.unique()}"
        _build(unit, unit.array, built, listed)
        _publish(built, unit.folder)
    if files.read(os.path.join(unit.folder, "tasks")) != listed:
        message = f"{unit.folder} is there already, for other runs; launch again"
        raise AgentError("runs", message)


def options(unit: Unit) -> List[str]:
    """Give what sbatch must be told about a unit's array; nothing for a single run."""
    if unit.array is None:
        return []
    throttle = f"%{unit.array.throttle}" if unit.array.throttle else ""
    told = [
        f"--array=0-{len(unit.directories) - 1}{throttle}",
        "--output=" + _in_task(unit.header.output or DEFAULT_OUTPUT),
    ]
    return [*told, "--error=" + _in_task(unit.header.error)] if unit.header.error else told


def _in_task(pattern: str) -> str:
    return pattern if os.path.isabs(pattern) else "%a/" + pattern


def _build(unit: Unit, array: Array, built: str, listed: str) -> None:
    os.makedirs(paths.keep(built))
    for index, place in enumerate(unit.places):
        os.symlink(place, os.path.join(built, str(index)))
    files.replace(os.path.join(built, "tasks"), listed)
    files.replace(os.path.join(built, "run.sbatch"), _script(array))


def _script(array: Array) -> str:
    words = " ".join(shlex.quote(word) for word in shebang.words_of(array.shebang + "\n"))
    return "\n".join(["#!/bin/sh", *array.header, _TASK.replace("@COMMAND@", words)])


def _publish(built: str, folder: str) -> None:
    try:
        os.rename(built, folder)
    except OSError:
        # another agent of the same launch was faster
        shutil.rmtree(built, ignore_errors=True)
        if not os.path.isdir(folder):
            raise
