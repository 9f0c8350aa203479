"""Job arrays: one sbatch for many runs, each task in its own run directory.

The array starts in a folder of its own that holds a link to each run directory, named by the
task's index: Slurm itself opens a task's output through it, in the run directory.
"""

import os
import shutil
from typing import List, Optional

from . import files, local_job, paths
from .faults import AgentError
from .units import Unit

DEFAULT_OUTPUT = "slurm-%A_%a.out"
_TASK = r"""
# run the task's own script in its own run directory, pass signals on, and leave its exit code
cd -P -- "./$SLURM_ARRAY_TASK_ID" || exit 97
@COMMAND@ ./run.sbatch &
run=$!
for name in HUP USR1 USR2 TERM; do trap "kill -s $name $run" "$name"; done
wait "$run"; code=$?
while kill -0 "$run" 2>/dev/null; do wait "$run"; code=$?; done
echo "$code" > .remex/exit
exit "$code"
"""
