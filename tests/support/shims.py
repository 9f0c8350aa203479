"""Programs put before the real ones on PATH: they count calls and go wrong on purpose.

A fault is the body of a shell script. In it, `"$REAL" "$@"` is the program as it was called and
`$NUMBER` the number of this call, from 1. A body that does not exit goes on to the real program.
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

TIMED_OUT = "Batch job submission failed: Socket timed out on send/recv operation"

TIMES_OUT = f"""sleep 0.2; echo "sbatch: error: {TIMED_OUT}" >&2; exit 1"""
"""Times out, and Slurm never got the job."""

ACCEPTS_THEN_TIMES_OUT = f"""\
"$REAL" "$@" >/dev/null; echo "sbatch: error: {TIMED_OUT}" >&2; exit 1"""
"""Slurm has the job, and the answer is lost."""

KILLS_PARENT = """"$REAL" "$@" >/dev/null; kill -9 "$PPID"; exit 1"""
"""Slurm has the job, its id was not written, and the caller is dead."""

ANSWERS_THEN_KILLS_PARENT = """"$REAL" "$@"; kill -9 "$PPID"; exit 0"""
"""Slurm has the job, its id was written, and the caller is dead."""

HANGS = "exec sleep 3600"
"""Never ends; Slurm never got the job, or the query."""

ACCEPTS_THEN_HANGS = """"$REAL" "$@" >/dev/null; exec sleep 3600"""
"""Slurm has the job, and the call never ends."""

CHATTERS = """\
echo 'sbatch: your account holds 12345 core-hours; 67 jobs are queued'
"$REAL" "$@"; code=$?; echo 'Thank you. 890'; exit "$code\""""
"""Writes lines with numbers to stdout before and after the id."""

ANSWERS_THEN_FAILS = """"$REAL" "$@"; echo "sbatch: error: epilog of the wrapper" >&2; exit 1"""
"""Slurm has the job, its id was written, and the exit status says that it failed."""

ANSWERS_THEN_HANGS = """"$REAL" "$@"; exec sleep 3600"""
"""Slurm has the job, its id was written, and the call never ends."""

MISLEADS = """\
answer=$("$REAL" "$@") || exit
echo "Your job $answer waits; balance in core-hours:"; echo 4711; exit 0"""
"""Slurm has the job; the only line that looks like an id is another number."""

NAMES_CLUSTER = """answer=$("$REAL" "$@") || exit; echo "$answer;federation"; exit 0"""
"""Answers `id;cluster`, as --parsable does for a job of a named cluster."""


def accepts_late(seconds: float) -> str:
    """Return a fault: it times out at once, and Slurm gets the job so many seconds later."""
    later = f'( sleep {seconds}; exec "$REAL" "$@" ) </dev/null >/dev/null 2>&1 &'
    return f'{later}\necho "sbatch: error: {TIMED_OUT}" >&2; exit 1'


def says(number: object, then: str) -> str:
    """Return a fault that prints a number of another job, then does something else."""
    return f"echo {shlex.quote(str(number))}\n{then}"


def rejects(message: str) -> str:
    """Return a fault: it fails as sbatch does when Slurm refuses a job with this message."""
    lines = " ".join(shlex.quote(f"sbatch: error: {line}") for line in message.splitlines())
    return f"printf '%s\\n' {lines} >&2; exit 1"


@dataclass(frozen=True)
class Call:
    """One call of a shim: the caller, its folder, and the arguments (joined by a space)."""

    parent: int
    folder: Path
    arguments: str


class Shims:
    """The shims of one folder, which a test puts first on PATH (`SshServer.home / "bin"`)."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def put(self, fault: str = "", program: str = "sbatch", times: int = 1_000_000) -> None:
        """Install a shim; after so many calls it only forwards. Counting starts again."""
        real = shutil.which(program)
        if real is None:
            raise FileNotFoundError(f"{program}: not on PATH, so a shim cannot wrap it")
        calls = self._calls(program)
        calls.write_text("")
        script = self.folder / f".{program}.new"
        script.write_text(_script(real, calls, fault, times))
        script.chmod(0o755)
        script.rename(self.folder / program)

    def submissions(self, fault: str, times: int = 1_000_000) -> None:
        """Put a fault before sbatch that ignores and does not count `sbatch --version`."""
        self.put(fault, times=times)
        script = self.folder / "sbatch"
        first, real, rest = script.read_text().split("\n", 2)
        spared = '[ "$1" = --version ] && exec "$REAL" "$@"'
        script.write_text(f"{first}\n{real}\n{spared}\n{rest}")

    def missing(self, program: str) -> None:
        """Let a program fail as one that is not installed does."""
        self.put(f"echo '{program}: command not found' >&2; exit 127", program)

    def calls(self, program: str = "sbatch") -> list[Call]:
        """List the calls since the shim was put in place, in order."""
        # not splitlines: arguments may hold other characters that it takes for line ends
        lines = self._calls(program).read_text().split("\n")
        rows = (line.split("\t", 2) for line in lines if line)
        return [Call(int(parent), Path(folder), words) for parent, folder, words in rows]

    def remove(self) -> None:
        """Take all shims away."""
        for entry in self.folder.iterdir():
            entry.unlink()

    def _calls(self, program: str) -> Path:
        return self.folder / f".{program}.calls"


def _script(real: str, calls: Path, fault: str, times: int) -> str:
    log = shlex.quote(str(calls))
    return f"""\
#!/bin/sh
REAL={shlex.quote(real)}
exec 9>>{log}
flock 9
NUMBER=$(($(wc -l <{log}) + 1))
printf '%s\\t%s\\t%s\\n' "$PPID" "$PWD" "$*" >&9
exec 9>&-
if [ "$NUMBER" -le {times} ]; then
:
{fault}
fi
exec "$REAL" "$@"
"""
