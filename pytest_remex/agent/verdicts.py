"""What the words of sbatch mean for the job: it is there, it was refused, or nobody knows.

Source of the words: `slurm_errno.c` of Slurm 22.05 and 24.11, and sbatch's own checks.
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
_FAILED = "Batch job submission failed: "
_POLICY = "Job violates accounting/QOS policy"
_LIMITS = re.compile(r"MaxSubmitJob|GrpSubmitJob|MaxSubmitPA|Resource temporarily unavailable")
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


class Verdict(NamedTuple):
    """What became of an attempt: HELD with the job's id, or why not in Slurm's words."""

    kind: str
    job: str = ""
    words: str = ""


def judge(said: str, code: Optional[int]) -> Verdict:
    """Judge from what sbatch printed, both outputs together, and its exit code (None: unknown).

    An id counts when sbatch ended well, reported no failure and the id is the only line of its
    form: a site's chatter may hold numbers too. A refusal counts when sbatch failed and named no
    id. Everything else is doubt, which only Slurm can settle.
    """
    ids = {match.group(1): match.group(2) or match.group(3) for match in _ID.finditer(said)}
    words = said.strip()
    if code == 0 and len(ids) == 1 and _FAILED not in said:
        ((job, cluster),) = ids.items()
        return Verdict(HELD, job=f"{job};{cluster}" if cluster else job)
    if code and not ids:
        return Verdict(_kind(words), words=words)
    return Verdict(DOUBT, words=words)


def refuses(said: str) -> bool:
    """Return whether sbatch's words are a definite refusal, for jobs that Slurm does not have."""
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
