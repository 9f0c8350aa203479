"""Run sbatch: start it, kill it if it takes too long, retry, and interpret its output.

Its outputs go straight into a file. They say that the job exists, that it was refused, or leave it
in doubt. Source of the messages: `slurm_errno.c` of Slurm 22.05 and 24.11, and sbatch's own checks.
"""

import os
import re
import signal
import subprocess
import threading
import time
from typing import Dict, List, NamedTuple, Optional

from pytest_remex.agent import process
from pytest_remex.agent.slurm.commands import SUBMITTED

LOOK = 0.25
"""Seconds between checks for an overdue sbatch."""
LONGEST = 8.0
"""The longest pause in seconds between attempts against a submit limit."""


class SbatchRunner:
    """Start sbatch processes; one thread watches them and kills those older than `patience`."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._deadlines: Dict[int, float] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._watcher.join()

    def run(self, words: List[str], folder: str, output: int, environment: Dict[str, str]) -> int:
        """Run sbatch in a folder, in its own session so that it survives the agent."""
        try:
            started = subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            code = process.start_code(error)
            why = "Unable to open file" if code == process.MISSING else _FAILED + _NO_ROOM
            message = f"{why} {words[0]}: {error.strerror}\n"
            os.write(output, message.encode("ascii", "replace"))
            return code
        with self._lock:
            self._deadlines[started.pid] = time.monotonic() + self._patience
        # removed from the list before it is reaped: its id must not be reused when it is killed
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            del self._deadlines[started.pid]
        return started.wait()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK):
            now = time.monotonic()
            with self._lock:
                for pid, deadline in self._deadlines.items():
                    if now > deadline:
                        process.signal_group(pid, signal.SIGKILL)


class RateLimiter:
    """Limits calls to `rate` per second over all threads; None for no limit."""

    def __init__(self, rate: Optional[float]) -> None:
        self._pause = 1 / rate if rate else 0.0
        self._lock = threading.Lock()
        self._last = time.monotonic()  # an earlier request may have just made a call

    def wait(self) -> None:
        """Wait until one more call may be made."""
        if not self._pause:
            return
        with self._lock:
            self._last = max(time.monotonic(), self._last + self._pause)
            due = self._last
        time.sleep(max(0.0, due - time.monotonic()))


class LimitWatch:
    """Decide whether to retry after a submit limit; an accepted job resets the timer.

    All threads of a request share it.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._since = 0.0
        self._pause = 0.5
        self.message = ""

    def wait(self, message: str) -> bool:
        """Wait before a retry; return False if that has gone on for too long."""
        with self._lock:
            self.message = message
            self._since = self._since or time.monotonic()
            self._pause = min(self._pause * 2, LONGEST)
            pause = self._pause
        if self.over:
            return False
        time.sleep(pause)
        return True

    def reset(self) -> None:
        """Reset the timer after a job was accepted."""
        with self._lock:
            self._since = 0.0
            self._pause = 0.5

    @property
    def over(self) -> bool:
        """Whether the time for retries has run out."""
        return self._since > 0 and time.monotonic() - self._since > self._patience


def left_over(folder: str) -> Optional[int]:
    """Find an sbatch process that a killed agent left behind, by its folder and options."""
    signs = {option.encode("ascii") for option in SUBMITTED}
    for pid in process.numbers():
        if signs.issubset(process.arguments(pid)) and process.working_directory(pid) == folder:
            return pid
    return None


HELD = "held"
REJECTED = "rejected"
LIMIT = "limit"
DOUBT = "doubt"

_ID = re.compile(
    r"^(?:Submitted batch job )?([1-9]\d{0,9})(?:;([\w.-]+)| on cluster ([\w.-]+))?$", re.MULTILINE
)
_FAILED = "Batch job submission failed: "
_NO_ROOM = "Resource temporarily unavailable to start"
"""That there are too many processes, say: it is tried again, as a limit of Slurm's is."""
_POLICY = "Job violates accounting/QOS policy"
_LIMITS = re.compile(
    r"MaxSubmitJob|GrpSubmitJob|MaxSubmitPA|Resource temporarily unavailable|Rate limit exceeded"
)
_REASON = re.compile(r"^sbatch: error: (?:Assoc|QOS)\w+$", re.MULTILINE)
_REFUSED = (
    "Access/permission denied",
    "Burst Buffer",
    "Invalid account",
    "Invalid burst buffer",
    "Invalid cluster",
    "Invalid constraint",
    "Invalid feature",
    "Invalid generic resource",
    "Invalid group",
    "Invalid job array",
    "Invalid license",
    "Invalid node name",
    "Invalid partition",
    "Invalid qos",
    "Invalid QOS",
    "Invalid reservation",
    "Invalid time",
    "Invalid TRES",
    "Invalid user id",
    "Invalid wckey",
    "Job dependency problem",
    "Job's account not permitted",
    "Job's QOS not permitted",
    "Memory required by task is not available",
    "Memory specification can not be satisfied",
    "More processors requested than permitted",
    "No partition specified",
    "Node count specification invalid",
    "Nodes required for job are DOWN, DRAINED or reserved",
    "Partition does not",
    "Pathname of a file, directory or other parameter too long",
    "Required node not available",
    "Required partition not available",
    "Requested GRES",
    "Requested MPS",
    "Requested node configuration is not available",
    "Requested operation not supported",
    "Requested partition configuration not available",
    "Requested reservation",
    "Requested time limit is invalid",
    "Requires either",
    "Time limit specification required",
    "User's group not permitted",
    "You must be",
    "Zero node",
)
_NEVER_SENT = (
    "Batch script contains DOS line breaks",
    "Batch script is empty",
    "Invalid --",
    "Invalid directive found in batch script",
    "Invalid numeric value",
    "This does not look like a batch script",
    'Try "sbatch --help"',
    "Unable to open file",
    "invalid option",
    "option requires an argument",
    "unrecognized option",
)


class SbatchResult(NamedTuple):
    """The result of an attempt: HELD with the job's id, or Slurm's message.

    `kind` is HELD, REJECTED, LIMIT or DOUBT.
    """

    kind: str
    job: str = ""
    words: str = ""


def judge(said: str, code: Optional[int]) -> SbatchResult:
    """Interpret sbatch's output (stdout and stderr together) and exit code (None: unknown).

    An id counts if sbatch exited with 0, reported no failure, and printed only one line of that
    form: a site's own output may contain numbers too. A refusal counts if sbatch failed and printed
    no id. Everything else is doubt, which only Slurm can resolve.
    """
    ids = {match.group(1): match.group(2) or match.group(3) for match in _ID.finditer(said)}
    words = said.strip()
    if code == 0 and len(ids) == 1 and _FAILED not in said:
        ((job, cluster),) = ids.items()
        return SbatchResult(HELD, job=f"{job};{cluster}" if cluster else job)
    if code and not ids:
        return SbatchResult(_kind(words), words=words)
    return SbatchResult(DOUBT, words=words)


def refuses(said: str) -> bool:
    """Return whether sbatch's output is a definite refusal, for a job that Slurm does not have."""
    return _kind(said.strip()) == REJECTED


def _kind(words: str) -> str:
    if any(sign in words for sign in _NEVER_SENT):
        return REJECTED
    _, failed, reason = words.rpartition(_FAILED)
    if not failed:
        return DOUBT
    if _POLICY in reason:
        named = _REASON.search(words) is not None
        return LIMIT if _LIMITS.search(words) or not named else REJECTED
    if _LIMITS.search(reason):
        return LIMIT
    return REJECTED if any(reason.startswith(sign) for sign in _REFUSED) else DOUBT
