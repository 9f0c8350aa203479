"""What sbatch says when Slurm refuses a job for good, for now, or in a way that leaves doubt.

The words are those of slurm_errno.c in Slurm 22.05, as sbatch prints them.
"""

FAILED = "Batch job submission failed: "

PERMANENT = tuple(
    FAILED + reason
    for reason in (
        "Access/permission denied",
        "Invalid account or account/partition combination specified",
        "Invalid feature specification",
        "Invalid generic resource (gres) specification",
        "Invalid job array specification",
        "Invalid license specification",
        "Invalid partition name specified",
        "Invalid qos specification",
        "Invalid user id",
        "Job dependency problem",
        "Memory required by task is not available",
        "More processors requested than permitted",
        "No partition specified or system default partition",
        "Node count specification invalid",
        "Pathname of a file, directory or other parameter too long",
        "Requested node configuration is not available",
        "Requested reservation is invalid",
        "Requested time limit is invalid (missing or exceeds some limit)",
        "Time limit specification required, but not provided",
        "User's group not permitted to use this partition",
    )
) + (
    "This does not look like a batch script.  The first\n"
    "line must start with #! followed by the path to an interpreter.\n"
    "For instance: #!/bin/sh",
    "Batch script contains DOS line breaks (\\r\\n)\ninstead of expected UNIX line breaks (\\n).",
    "Unable to open file run.sbatch",
    "invalid partition specified: nowhere\n" + FAILED + "Invalid partition name specified",
)

LIMIT = (
    "AssocMaxSubmitJobLimit\n" + FAILED + "Job violates accounting/QOS policy"
    " (job submit limit, user's size and/or time limits)",
    "QOSMaxSubmitJobPerUserLimit\n" + FAILED + "Job violates accounting/QOS policy"
    " (job submit limit, user's size and/or time limits)",
    "Slurm temporarily unable to accept job, sleeping and retrying\n"
    + FAILED
    + "Resource temporarily unavailable",
)

DOUBTFUL = tuple(
    FAILED + reason
    for reason in (
        "Socket timed out on send/recv operation",
        "Unable to contact slurm controller (connect failure)",
        "Unable to contact slurm controller (send failure)",
        "Unable to contact slurm controller (receive failure)",
        "Zero Bytes were transmitted or received",
        "Unexpected message received",
        "Slurm internal error, contact system administrator",
    )
)
