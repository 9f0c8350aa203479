"""Interpret what sbatch printed: the job exists, it was refused, or it is in doubt.

Source of the messages: `slurm_errno.c` of Slurm 22.05, 24.11 and 26.05, and sbatch's own checks.
"""

import re
from typing import NamedTuple, Optional

HELD = "held"
REJECTED = "rejected"
LIMIT = "limit"
DOUBT = "doubt"

_ID = re.compile(
    r"^(?:Submitted batch job )?([1-9]\d{0,9})(?:;([\w.-]+)| on cluster ([\w.-]+))?$", re.MULTILINE
)
FAILED = "Batch job submission failed: "
_FULL = "Resource temporarily unavailable"
NO_ROOM = f"{_FULL} to start"
"""That there are too many processes, say: it is tried again, as a limit of Slurm's is."""
_WHY_FULL = "\nall users together may have as many jobs as Slurm keeps (MaxJobCount)"
_POLICY = "Job violates accounting/QOS policy"
_LIMITS = re.compile(rf"MaxSubmitJob|GrpSubmitJob|MaxSubmitPA|{_FULL}|Rate limit exceeded")
_REASON = re.compile(r"^sbatch: error: (?:Assoc|QOS)\w+$", re.MULTILINE)
_REFUSED = (
    "Access denied to requested reservation",
    "Access/permission denied",
    "Burst Buffer",
    "Cannot request more threads per core",
    "Core count for reservation",
    "CPU count specification invalid",
    "Duplicate generic resource",
    "Invalid account",
    "Invalid burst buffer",
    "Invalid cluster",
    "Invalid constraint",
    "Invalid container id",
    "Invalid extra constraints",
    "Invalid feature",
    "Invalid generic resource",
    "Invalid GRES",
    "Invalid group",
    "Invalid job array",
    "Invalid license",
    "Invalid node name",
    "Invalid or unknown association",
    "Invalid partition",
    "Invalid preferred feature",
    "Invalid qos",
    "Invalid QOS",
    "Invalid reservation",
    "Invalid time",
    "Invalid Trackable RESource",
    "Invalid TRES",
    "Invalid user id",
    "Invalid wckey",
    "Job --batch option is invalid",
    "Job cannot be submitted without",
    "Job dependency problem",
    "Job size specification needs",
    "Job's account not permitted",
    "Job's QOS not permitted",
    "Memory required by task is not available",
    "Memory specification can not be satisfied",
    "More processors requested than permitted",
    "Multiple partition job request",
    "No partition specified",
    "Node count specification invalid",
    "Nodes required for job are DOWN, DRAINED or reserved",
    "Only batch jobs are accepted",
    "Partition does not",
    "Pathname of a file, directory or other parameter too long",
    "Requested account has breached",
    "Requested GRES",
    "Requested MPS",
    "Requested node configuration is not available",
    "Requested nodes not in this partition",
    "Requested operation not supported",
    "Requested partition configuration not available",
    "Requested reservation",
    "Requested time limit is invalid",
    "Required node not available",
    "Required partition not available",
    "Requires either",
    "RestrictedCoresPerGPU",
    "Task count specification invalid",
    "Task distribution specification invalid",
    "Time limit specification required",
    "Unspecified error",  # the controller's answer if a site's job_submit plugin refuses the job
    "User's group not permitted",
    "You must be",
    "Zero node",
)
_NEVER_SENT = (
    "Batch script contains DOS line breaks",
    "Batch script is empty",
    "Could not open user environment file",
    "Invalid --",
    "Invalid directive found in batch script",
    "Invalid numeric value",
    "This does not look like a batch script",
    'Try "sbatch --help"',
    "Unable to open file",
    "are mutually exclusive",
    "cli_filter plugin terminated with error",
    "error: Invalid generic resource",
    "invalid --",
    "invalid entry for --cluster",
    "invalid option",
    "is not a valid node count",
    "less than minimum node count",
    "option requires an argument",
    "unrecognized --",
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
    no id; if it was killed, it may have sent the job before: the code is negative then, or above
    128 with a shell between. Everything else is doubt, which only Slurm can resolve.
    """
    ids = {match.group(1): match.group(2) or match.group(3) for match in _ID.finditer(said)}
    words = said.strip()
    if code == 0 and len(ids) == 1 and FAILED not in said:
        ((job, cluster),) = ids.items()
        return SbatchResult(HELD, job=f"{job};{cluster}" if cluster else job)
    if code in range(1, 128) and not ids:
        why = _WHY_FULL if words.endswith(FAILED + _FULL) else ""
        return SbatchResult(_kind(words), words=words + why)
    return SbatchResult(DOUBT, words=words)


def refuses(said: str) -> bool:
    """Return whether sbatch's output is a definite refusal, for a job that Slurm does not have."""
    return _kind(said.strip()) == REJECTED


def _kind(words: str) -> str:
    if any(sign in words for sign in _NEVER_SENT):
        return REJECTED
    _, failed, reason = words.rpartition(FAILED)
    if not failed:
        return DOUBT
    if _POLICY in reason:
        named = _REASON.search(words) is not None
        return LIMIT if _LIMITS.search(words) or not named else REJECTED
    if _LIMITS.search(reason):
        return LIMIT
    return REJECTED if any(reason.startswith(sign) for sign in _REFUSED) else DOUBT
