"""The Slurm commands that the agent runs, for Slurm 19.05 to 26.05, and their variables.

Listings use control characters after fields and before rows, because a work directory may contain
any other character, and a site's script round the command may add lines of its own. `squeue --json`
appeared in 21.08 and has changed since, so it is not used.

sbatch takes options from SBATCH_* and SLURM_* variables, which override the script's own. Login
files set them, and so does Slurm in an allocation that someone logs in from. An experiment is
defined by its commit: only variables that say who pays, where and when are passed to sbatch.
"""

import os
import pwd
from typing import Dict, List, Mapping, Sequence, Set

FIELD = "\x1f"
ROW = "\x1e"

LISTED = ("%i", "%A", "%T", "%r", "%M", "%l", "%C", "%m", "%k", "%Z")
ACCOUNTED = (
    "JobID",
    "JobIDRaw",
    "State",
    "ExitCode",
    "ElapsedRaw",
    "TimelimitRaw",
    "MaxRSS",
    "ReqMem",
    "AllocCPUS",
    "Comment",
    "WorkDir",
)
EXIT_CODES = "JobArrayID:64,exit_code:16"


def version() -> List[str]:
    """Ask for Slurm's version."""
    return ["sbatch", "--version"]


def config() -> List[str]:
    """Ask for the controller's settings."""
    return ["scontrol", "show", "config"]


def ping() -> List[str]:
    """Ask whether the controllers are up."""
    return ["scontrol", "ping"]


def listing(cluster: str = "", jobs: Sequence[str] = ()) -> List[str]:
    """List the user's jobs that the controller remembers, or only `jobs`; one row per task."""
    layout = ROW + "".join(field + FIELD for field in LISTED)
    only = [_jobs(jobs)] if jobs else []
    return ["squeue", *_of(cluster), *_MINE, "-u", str(os.getuid()), *only, "-o", layout]


def queued() -> List[str]:
    """List the ids of the user's waiting and running jobs, one row per task."""
    return ["squeue", "-h", "-a", "-r", "-u", str(os.getuid()), "-o", "%i"]


def exit_codes(jobs: List[str], cluster: str = "") -> List[str]:
    """List exit codes as wait statuses, in columns; `-o` has no letter for them."""
    return ["squeue", *_of(cluster), *_MINE, _jobs(jobs), "-O", EXIT_CODES]


def accounts(
    jobs: List[str], since: str, cluster: str = "", *, everywhere: bool = False
) -> List[str]:
    """Ask the accounting for jobs and their steps; without `since` sacct starts at midnight.

    `everywhere` asks about all clusters of a federation.
    """
    which = ["-j", ",".join(jobs), "-S", since, *_UNTIL]
    which += ["--federation"] if everywhere and not cluster else []
    return ["sacct", *_of(cluster), *_PARSABLE, *which, "-o", ",".join(ACCOUNTED)]


def accounts_of_same_number(jobs: List[str], since: str, cluster: str = "") -> List[str]:
    """Ask the accounting for all jobs that had a number, not the last one of each alone."""
    which = ["-X", "--duplicates", "-j", ",".join(jobs), "-S", since, *_UNTIL]
    return ["sacct", *_of(cluster), *_PARSABLE, *which, "-o", ",".join(ACCOUNTED)]


def accounts_of_user(since: str, cluster: str = "") -> List[str]:
    """Ask the accounting for all of the user's jobs since a time."""
    which = ["-X", "-u", str(os.getuid()), "-S", since, *_UNTIL]
    return ["sacct", *_of(cluster), *_PARSABLE, *which, "-o", ",".join(ACCOUNTED)]


def show(job: str, cluster: str = "") -> List[str]:
    """Ask the controller for one job."""
    return ["scontrol", *_of(cluster), "-o", "show", "job", job]


def release(jobs: List[str], cluster: str = "") -> List[str]:
    """Release held jobs."""
    return ["scontrol", *_of(cluster), "release", ",".join(jobs)]


def cancel(jobs: List[str], cluster: str = "") -> List[str]:
    """Cancel jobs, without a filter: with one, `scancel 12_3` cancels all of job 12 (22.05)."""
    return ["scancel", *_of(cluster), *jobs]


def cancel_held(jobs: List[str], cluster: str = "") -> List[str]:
    """Cancel pending jobs as a whole; a job that was released and runs is not cancelled."""
    return ["scancel", *_of(cluster), "-t", "PENDING", *jobs]


def submit(folder: str, comment: str, options: List[str], script: str) -> List[str]:
    """Submit a script in a folder, held, with more options; "" keeps its own comment.

    The folder is named, since a site's own sbatch may add another, and the last one counts.
    """
    ours = [f"--chdir={os.path.realpath(folder)}", *([f"--comment={comment}"] if comment else [])]
    return ["sbatch", *SUBMITTED, *ours, *options, script]


def associations() -> List[str]:
    """Ask for the job limits of the user's associations, and their QOS."""
    which = ["assoc", "where", f"user={pwd.getpwuid(os.getuid()).pw_name}"]
    return ["sacctmgr", "-n", "-P", "show", *which, "format=MaxSubmitJobs,MaxJobs,QOS"]


def qualities() -> List[str]:
    """Ask for the job limits of each QOS per user."""
    return ["sacctmgr", "-n", "-P", "show", "qos", "format=Name,MaxSubmitPU,MaxJobsPU"]


def cluster_of(words: List[str]) -> str:
    """Return the cluster that a command asks; empty for the default one."""
    return words[2] if words[1:2] == [_CLUSTER] else ""


SUBMITTED = ("--parsable", "--hold")
"""The options of each sbatch command that we run."""
_CLUSTER = "-M"
_MINE = ("-h", "-a", "-r", "-t", "all")
_UNTIL = ("-E", "now+1days")
"""Jobs that begin after sacct's own "now" too: the controller's clock may be ahead of ours."""
_PARSABLE = ("-n", "-p", f"--delimiter={FIELD}")
"""Without a header, and with the delimiter after the last field too."""


def _jobs(jobs: Sequence[str]) -> str:
    """Return squeue's option for job ids, in one word: after two, POSIXLY_CORRECT ends options."""
    return "--jobs=" + ",".join(jobs)


def _of(cluster: str) -> List[str]:
    return [_CLUSTER, cluster] if cluster else []


_PREFIXES = (
    "SBATCH_",
    "SLURM_",
    "SQUEUE_",
    "SACCT_",
    "SACCTMGR_",
    "SCONTROL_",
    "SCANCEL_",
)
_CONNECTION = {"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_SACK_KEY", "SLURM_SACK_JWKS"}
"""Which cluster to ask, and as whom: every command needs these."""
_WHO = {"SBATCH_ACCOUNT", "SBATCH_QOS", "SBATCH_WCKEY"}
_WHERE = {
    "SBATCH_CLUSTER_CONSTRAINT",
    "SBATCH_CLUSTERS",
    "SBATCH_CONSTRAINT",
    "SBATCH_PARTITION",
    "SLURM_CLUSTERS",
}
_WHEN = {"SBATCH_RESERVATION", "SBATCH_TIMELIMIT"}
_STEPS = {"SLURM_CPU_BIND", "SLURM_CPU_FREQ_REQ", "SLURM_KILL_BAD_EXIT", "SLURM_MPI_TYPE"}
"""How srun starts job steps at a site; in an allocation Slurm sets them for that job."""
_CLUSTERS = ("SBATCH_CLUSTERS", "SLURM_CLUSTERS")
_ANY_CLUSTER = "all"


def variables_for_questions(variables: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables for all commands but sbatch: no user filters, formats or clusters."""
    kept = _without(variables, _CONNECTION)
    # 0: array ranges such as 3_[0-2,7] are not shortened
    kept.update(SLURM_BITSTR_LEN="0", LC_ALL="C")
    return kept


def variables_for_submission(variables: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables for sbatch, which passes them on to the job."""
    kept = _without(variables, _passed(variables))
    for name in _CLUSTERS:
        kept.pop(name, None)
    named = ",".join(clusters(variables))
    return {**kept, "SBATCH_CLUSTERS": named} if named else kept


def ignored_variables(variables: Mapping[str, str]) -> List[str]:
    """Return the names of variables for sbatch that are not passed to it.

    Only SBATCH_* variables, and a cluster list of "all", are reported: the others Slurm sets
    itself.
    """
    passed = _passed(variables)
    names = {name for name in variables if name.startswith("SBATCH_")} - passed
    if _cluster_list(variables) and not clusters(variables):
        names.update(name for name in _CLUSTERS if name in variables)
    return sorted(names)


def clusters(variables: Mapping[str, str]) -> List[str]:
    """Return the clusters that sbatch may choose from; empty means the default cluster."""
    return named_clusters(_cluster_list(variables))


def named_clusters(text: str) -> List[str]:
    """Return the clusters that a list as sbatch takes it names; none if it may be any."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [] if _ANY_CLUSTER in names else names


def _cluster_list(variables: Mapping[str, str]) -> str:
    return next((variables[name] for name in _CLUSTERS if variables.get(name)), "")


def _passed(variables: Mapping[str, str]) -> Set[str]:
    chosen = _CONNECTION | _WHO | _WHERE | _WHEN
    return chosen if _in_allocation(variables) else chosen | _STEPS


def _in_allocation(variables: Mapping[str, str]) -> bool:
    return "SLURM_JOB_ID" in variables or "SLURM_JOBID" in variables


def _without(variables: Mapping[str, str], passed: Set[str]) -> Dict[str, str]:
    return {
        name: text
        for name, text in variables.items()
        if name in passed or not name.startswith(_PREFIXES)
    }
