"""Arrays and packs: many runs in one sbatch, which starts in a folder of its own.

The folder has a link to each run directory, named by the run's index, and the scripts. In a job
array each run is a task; Slurm opens its outputs in the run directory, through that link, so that
Slurm's own messages about the task go there too. A pack is one allocation in which `pack_runner`
starts short runs; the exit code that each run leaves tells how it ended.
"""

import math
import os
import re
import shlex
import sys
from types import ModuleType
from typing import Any, Dict, List, NamedTuple, Optional

from pytest_remex.agent import fs, upstream
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.slurm import pack_runner
from pytest_remex.agent.submissions import LocatedSubmission, interpreter
from pytest_remex.agent.units import LARGEST_LIST
from pytest_remex.common import filenames, paths
from pytest_remex.common.jobs import Job, JobState, ranges
from pytest_remex.common.parts import Array, Pack

_EXIT_CODE = re.compile(r"[0-9]{1,3}$")
OF_ALL_MEMBERS = frozenset({JobState.HELD, JobState.PENDING, JobState.COMPLETED})
"""The states of a pack's job that each of its runs has: it completes only if all have."""
_ENTER = 'cd -P -- "./{index}" || exit 97\n'
_RUN = r"""
told_to_end=
run=
rm -f .remex/exit
export SLURM_SUBMIT_DIR="$PWD"
pass_on() { [ -z "$run" ] || kill -s "$1" "$run" 2>/dev/null; }
for name in HUP USR1 USR2; do trap "pass_on $name" "$name"; done
trap 'told_to_end=yes; pass_on TERM' TERM
@COMMAND@ @SCRIPT@ &
run=$!
wait "$run"
code=$?
# a signal ends the wait, and may already have ended the run, which then still has its exit code
while [ "$code" -gt 128 ]; do
    alive=
    kill -0 "$run" 2>/dev/null && alive=yes
    wait "$run" 2>/dev/null
    again=$?
    case $again in 127 | -*) ;; *) code=$again ;; esac
    [ "$alive" ] || break
done
@INTERRUPTED@echo "$code" > .remex/exit
exit "$code"
"""
"""Run the script in the current run directory, pass on signals, and save its exit code."""
_PACK_VARIABLES = {
    "A": "SLURM_JOB_ID",
    "J": "SLURM_JOB_ID",
    "N": "SLURMD_NODENAME",
    "j": "SLURM_JOB_ID",
    "u": "SLURM_JOB_USER",
}
"""The variables with the values of filename patterns, for a run in a pack."""
_PACK = """
python=@PYTHON@
[ -x "$python" ] || python=python3
exec "$python" -I ./@RUNNER@
"""
_INTERRUPTED = """\
# a script that saves its state because its job is to end exits with 0, but has not completed
[ -z "$told_to_end" ] || [ "$code" -gt 0 ] || exit 0
"""
_INTERRUPTED_IN_PACK = """\
# a run that the end of the job interrupts has no exit code; both may be signalled at once
[ "$code" -lt 128 ] || sleep 1
[ -z "$told_to_end" ] || exit "$code"
"""
_PACK_RUN = """\
# a run of another submission is not run here
[ "$(cat .remex/@UNIT@ 2>/dev/null)" = @NAME@ ] || exit 0
# a requeued job runs only what did not end
[ -e .remex/exit ] && exit "$(cat .remex/exit)"
: > .remex/started
"""


class GroupScripts(NamedTuple):
    """An array's or a pack's scripts, by name, and its options for sbatch."""

    scripts: Dict[str, str]
    options: List[str]


def group_of(submission: LocatedSubmission) -> Optional[GroupScripts]:
    """Return an array's or a pack's scripts and options; None for a single run."""
    if submission.array is not None:
        script = _array_script(submission, submission.array)
        return GroupScripts({paths.SCRIPT: script}, _array_options(submission, submission.array))
    if submission.pack is not None:
        return GroupScripts(
            _pack_scripts(submission, submission.pack), _pack_options(submission.pack)
        )
    return None


def scripts_of(submission: LocatedSubmission) -> Dict[str, str]:
    """Return the scripts of an array or a pack, by name."""
    group = group_of(submission)
    return group.scripts if group else {}


def run_of_task(folder: str, task: str) -> str:
    """Return the run directory's name of a task of the array in a folder; empty if not found."""
    try:
        return os.path.basename(os.readlink(os.path.join(folder, task)))
    except OSError:
        return ""


def packs(folder: str, directory: str) -> bool:
    """Return whether a folder is a pack's and lists a run as its member."""
    if not os.path.exists(os.path.join(folder, pack_runner.TASK)):
        return False
    members = fs.read(os.path.join(folder, paths.MEMBERS), largest=LARGEST_LIST)
    return directory in (members or "").splitlines()


def note_jobs(submission: LocatedSubmission, job: str) -> Dict[str, str]:
    """Record in each run directory which job it has, and which pack; return the jobs."""
    jobs = submission.jobs_of_runs(job)
    for directory, its_job in jobs.items():
        files = RunFiles(os.path.join(submission.runs, directory))
        files.write(paths.JOB, its_job + "\n")
        if submission.pack is not None:
            files.write(paths.PACK, os.path.basename(submission.folder) + "\n")
        elif submission.job_number > 1:
            files.remove(paths.PACK)
    return jobs


def pack_of(run: str) -> str:
    """Return the folder name of the pack that a run belongs to; empty if it belongs to none."""
    return (RunFiles(run).read(paths.PACK) or "").strip()


def job_of_member(job: Job, run: str) -> Job:
    """Return a run's own state, derived from its pack's job."""
    files = RunFiles(run)
    names = files.names()
    if paths.EXIT in names:
        ended = left_exit_code(run, job.id)
        return ended._replace(elapsed=_elapsed(files, paths.EXIT)) if ended else job
    if job.state is JobState.RUNNING and paths.STARTED not in names:
        reason = f"waits for its turn in job {job.id}"
        return job._replace(state=JobState.PENDING, reason=reason, elapsed=None)
    if job.state in (JobState.COMPLETED, JobState.FAILED):
        reason = f"job {job.id} ended before this run finished"
        return job._replace(state=JobState.FAILED, reason=reason)
    return job


def _elapsed(files: RunFiles, end: str) -> Optional[float]:
    """Return how many seconds a run of a pack took until the file `end` was written."""
    started, ended = files.modified(paths.STARTED), files.modified(end)
    return None if started is None or ended is None else max(0.0, round(ended - started, 3))


def left_exit_code(run: str, job: str) -> Optional[Job]:
    """Return a job's final state from the exit code in its run directory, if there is one."""
    text = (RunFiles(run).read(paths.EXIT) or "").strip()
    if not _EXIT_CODE.match(text):
        return None
    state = JobState.COMPLETED if int(text) == 0 else JobState.FAILED
    return Job(job, state, exit_code=int(text), source="exit file")


def start_of(submission: LocatedSubmission) -> str:
    """Return the script of a single run whose upstream is checked first; empty for any other."""
    if submission.grouped or not submission.upstreams:
        return ""
    header = submission.header
    run = upstream.CHECK + _run_script(header.shebang, header.script)
    return "\n".join(["#!/bin/sh", *header.lines, "", run])


def _run_script(shebang: str, script: str, interrupted: str = _INTERRUPTED) -> str:
    """Return shell code that runs a script in the run directory with the shebang's interpreter.

    `interrupted` is shell code that comes before the exit code is saved.
    """
    command = " ".join(shlex.quote(word) for word in interpreter(shebang + "\n"))
    text = _RUN.replace("@INTERRUPTED@", interrupted).replace("@COMMAND@", command)
    return text.replace("@SCRIPT@", shlex.quote("./" + script))


def _source(module: ModuleType) -> str:
    """Return a module's source, which the agent has only in memory."""
    loader: Any = module.__loader__
    source: str = loader.get_source(module.__name__)
    return source


def _array_script(submission: LocatedSubmission, array: Array) -> str:
    """Return the script of an array: the runs' header, then code that runs the task's run."""
    enter = _ENTER.format(index="$SLURM_ARRAY_TASK_ID")
    run = _check(submission) + _run_script(array.shebang, submission.header.script)
    return "\n".join(["#!/bin/sh", *array.header_lines, "", enter + run])


def _check(submission: LocatedSubmission) -> str:
    return upstream.CHECK if submission.upstreams else ""


def _array_options(submission: LocatedSubmission, array: Array) -> List[str]:
    throttle = f"%{array.throttle}" if array.throttle else ""
    header = submission.header
    options = [
        f"--array={ranges(submission.tasks)}{throttle}",
        "--output=" + _in_task(header.output or filenames.ARRAY),
    ]
    if not header.name:
        options.append("--job-name=" + header.job_name)
    return [*options, "--error=" + _in_task(header.error)] if header.error else options


def _in_task(pattern: str) -> str:
    return pattern if os.path.isabs(pattern) else "%a/" + pattern


def _pack_scripts(submission: LocatedSubmission, pack: Pack) -> Dict[str, str]:
    """Return a pack's scripts: the batch script, the runner, and the script that runs one run."""
    batch = _PACK.replace("@PYTHON@", shlex.quote(sys.executable or "python3"))
    batch = batch.replace("@RUNNER@", pack_runner.COPY)
    unit, name = paths.unit(submission.job_number), os.path.basename(submission.folder)
    begin = _PACK_RUN.replace("@UNIT@", unit).replace("@NAME@", shlex.quote(name))
    begin += _redirection(submission) + "\n" + _check(submission)
    run = begin + _run_script(pack.shebang, submission.header.script, _INTERRUPTED_IN_PACK)
    return {
        paths.SCRIPT: "\n".join(["#!/bin/sh", *pack.header_lines, batch]),
        pack_runner.COPY: _source(pack_runner),
        pack_runner.TASK: _ENTER.format(index="$1") + run,
    }


def _pack_options(pack: Pack) -> List[str]:
    options = ["--output=log/slurm-%j.out", "--error=log/slurm-%j.out"]
    if pack.slots:
        options.append(f"--ntasks={pack.slots}")
    if pack.time_limit:
        options.append(f"--time={math.ceil(pack.time_limit / 60)}")
    return options


def _redirection(submission: LocatedSubmission) -> str:
    """Return shell code that opens the run's outputs, as Slurm would for a separate job."""
    header = submission.header
    fields = filenames.Fields(name=header.job_name)

    def word(pattern: str) -> str:
        return filenames.as_shell_word(pattern, fields, _PACK_VARIABLES)

    out = word(header.output or filenames.SINGLE)
    return f"exec >{out} 2>" + (word(header.error) if header.error else "&1")
