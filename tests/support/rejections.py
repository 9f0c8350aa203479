"""The messages of sbatch for a refusal that is final, temporary, or unclear.

The words are those of slurm_errno.c in Slurm 22.05 to 26.05, as sbatch prints them.
"""

FAILED = "Batch job submission failed: "
POLICY = (
    f"{FAILED}Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
)

NO_INTERPRETER = (
    "This does not look like a batch script.  The first\nline must start with #! followed by the"
    " path to an interpreter.\nFor instance: #!/bin/sh"
)
UNAVAILABLE = (
    "Slurm temporarily unable to accept job, sleeping and retrying\n"
    f"{FAILED}Resource temporarily unavailable"
)

PERMANENT = (
    f"{FAILED}Access/permission denied",
    f"{FAILED}Invalid account or account/partition combination specified",
    f"{FAILED}Invalid feature specification",
    f"{FAILED}Invalid generic resource (gres) specification",
    f"{FAILED}Invalid job array specification",
    f"{FAILED}Invalid license specification",
    f"{FAILED}Invalid partition name specified",
    f"{FAILED}Invalid qos specification",
    f"{FAILED}Invalid user id",
    f"{FAILED}Job dependency problem",
    f"{FAILED}Memory required by task is not available",
    f"{FAILED}More processors requested than permitted",
    f"{FAILED}No partition specified or system default partition",
    f"{FAILED}Node count specification invalid",
    f"{FAILED}Pathname of a file, directory or other parameter too long",
    f"{FAILED}Requested node configuration is not available",
    f"{FAILED}Requested reservation is invalid",
    f"{FAILED}Requested time limit is invalid (missing or exceeds some limit)",
    f"{FAILED}Time limit specification required, but not provided",
    f"the project p4711 has no core-hours left\n{FAILED}Unspecified error",
    f"{FAILED}User's group not permitted to use this partition",
    f"invalid partition specified: nowhere\n{FAILED}Invalid partition name specified",
    f"{FAILED}Access denied to requested reservation",
    f"{FAILED}Requested account has breached requested QOS usage threshold",
    f"{FAILED}Requested nodes not in this partition",
    f"{FAILED}Task count specification invalid",
    "Unable to open file run.sbatch",
    "lua: name a project\ncli_filter plugin terminated with error",
    NO_INTERPRETER,
    "Batch script contains DOS line breaks (\\r\\n)\ninstead of expected UNIX line breaks (\\n).",
)

LIMIT = (
    f"{FAILED}Rate limit exceeded, please retry momentarily",
    f"AssocMaxSubmitJobLimit\n{POLICY}",
    f"QOSMaxSubmitJobPerUserLimit\n{POLICY}",
    UNAVAILABLE,
    f"{FAILED}Resource temporarily unavailable to start sbatch: Cannot allocate memory",
)

DOUBTFUL = (
    f"{FAILED}Socket timed out on send/recv operation",
    f"{FAILED}Unable to contact slurm controller (connect failure)",
    f"{FAILED}Unable to contact slurm controller (send failure)",
    f"{FAILED}Unable to contact slurm controller (receive failure)",
    f"{FAILED}Zero Bytes were transmitted or received",
    f"{FAILED}Unexpected message received",
    f"{FAILED}Slurm internal error, contact system administrator",
)
