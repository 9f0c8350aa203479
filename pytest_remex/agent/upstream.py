"""Runs that come after others: links to what they bring, and a check of it when the job starts."""

import contextlib
import os
import shlex
from typing import List

from pytest_remex.agent.errors import UnreadableError
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.submissions import LocatedSubmission
from pytest_remex.common import paths
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.common.parts import UpstreamFiles

EXIT_CODE = 78
"""The exit code of the check: sysexits.h calls it a configuration error."""
CHECK = f"[ ! -e .remex/{paths.CHECK} ] || sh .remex/{paths.CHECK} || exit\n"
"""The shell's part that makes the check, in the run directory."""
_CHECK = """\
# made by pytest-remex: is there what this run brings from the run before it?
rm -f .remex/@FAILED@
fail() {
    printf 'UPSTREAM FAILED: %s\\n' "$1"
    printf '%s\\n' "$1" > .remex/@FAILED@
    echo @CODE@ > .remex/@EXIT@
    exit @CODE@
}
there() {
    # what another node wrote may show late
    for pause in 1 1 2 2 0; do
        if [ -d "$1" ]; then
            [ -n "$(ls -A "$1")" ] && return
        elif [ -s "$1" ]; then
            return
        fi
        sleep "$pause"
    done
    if [ -e "$1" ]; then fail "$2 of $3 is empty"; fi
    fail "$2 of $3 is not there"
}
brought() {
    there "./$1" "$2" "$3"
}
copied() {
    # a continued run has its own already
    if [ -n "${REMEX_COMMAND:-}" ] && [ -e "./$1" ]; then return; fi
    there "../$3/$2" "$2" "$3"
    rm -rf .remex/copy "./$1"
    cp -rpL "../$3/$2" .remex/copy && chmod -R u+w .remex/copy && mv .remex/copy "./$1" ||
        fail "$2 of $3 could not be copied"
}
ended() {
    [ "$(cat "../$1/.remex/@EXIT@" 2>/dev/null)" = 0 ] || fail "$1 did not end with exit code 0"
}
"""


def prepare(submission: LocatedSubmission, start: str = "") -> None:
    """Link what the runs of a submission bring, and write their checks.

    Args:
        submission: The submission.
        start: The script to submit instead of a single run's own; empty for none.

    Raises:
        UnreadableError: Something is in the way in a run directory.

    """
    for directory, upstream in submission.upstreams.items():
        run = os.path.join(submission.runs, directory)
        if not os.path.isdir(run):
            continue
        for target, source in upstream.brought.items():
            if target in upstream.copied:
                _make_folder(run, target)
            else:
                _link(run, target, os.path.join(submission.runs, upstream.directory, source))
        RunFiles(run).write(paths.CHECK, _check(upstream))
        if start:
            RunFiles(run).write(paths.START, start)


def explain(job: Job, run: str) -> Job:
    """Return a failed job, as UPSTREAM FAILED with the missing file if its check ended it."""
    if job.state is not JobState.FAILED or job.exit_code != EXIT_CODE:
        return job
    with contextlib.suppress(UnreadableError):
        why = RunFiles(run).read(paths.UPSTREAM_FAILED)
        if why is not None:
            return job._replace(state=JobState.UPSTREAM_FAILED, reason=why.strip())
    return job


def options_of(submission: LocatedSubmission) -> List[str]:
    """Return sbatch's options for a submission that comes after others."""
    options: List[str] = []
    if submission.dependency:
        options += [f"--dependency={submission.dependency}", "--kill-on-invalid-dep=yes"]
    if submission.upstreams and not submission.grouped and not submission.header.name:
        options.append("--job-name=" + submission.header.job_name)
    return options


def _make_folder(run: str, target: str) -> str:
    """Make the folder of a path in a run directory; return it."""
    folder = os.path.dirname(os.path.join(run, target))
    inside = os.path.join(os.path.realpath(run), os.path.dirname(target))
    if os.path.realpath(folder) != os.path.normpath(inside):
        raise UnreadableError(folder, "it leads out of the run directory: bring to another path")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UnreadableError(folder, f"it cannot be made ({error.strerror})") from error
    return folder


def _link(run: str, target: str, source: str) -> None:
    path, folder = os.path.join(run, target), _make_folder(run, target)
    try:
        to = os.path.relpath(source, folder)
        if os.path.islink(path):
            if os.readlink(path) == to:
                return
            os.remove(path)
        os.symlink(to, path)
    except OSError as error:
        raise UnreadableError(path, f"it cannot be made a link ({error.strerror})") from error


def _check(upstream: UpstreamFiles) -> str:
    values = {"FAILED": paths.UPSTREAM_FAILED, "EXIT": paths.EXIT, "CODE": str(EXIT_CODE)}
    lines = [_CHECK]
    for name, value in values.items():
        lines[0] = lines[0].replace(f"@{name}@", value)
    if upstream.has_exit_code:
        lines.append(f"ended {shlex.quote(upstream.directory)}\n")
    for target, source in upstream.brought.items():
        words = (target, source, upstream.directory)
        how = "copied" if target in upstream.copied else "brought"
        lines.append(f"{how} {' '.join(map(shlex.quote, words))}\n")
    return "".join([*lines, "exit 0\n"])
