"""The variables that Slurm's commands are given.

sbatch takes options from SBATCH_* and SLURM_* variables, and they override the script's own. Login
files set them, and so does Slurm in an allocation that somebody logs in from. An experiment is what
its commit says: only variables that say who pays, where and when reach sbatch.
"""

from typing import Dict, List, Mapping, Set

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
"""Which cluster is meant and who asks: every command needs it."""
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
"""How srun starts a job's steps at a site; in an allocation Slurm itself sets them for that job."""
_CLUSTERS = ("SBATCH_CLUSTERS", "SLURM_CLUSTERS")
_ANY_CLUSTER = "all"


def for_questions(variables: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables for all commands but sbatch: no filter, format or cluster of users."""
    kept = _without(variables, _CONNECTION)
    # 0: array ranges such as 3_[0-2,7] are not shortened
    kept.update(SLURM_BITSTR_LEN="0", LC_ALL="C")
    return kept


def for_submission(variables: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables for sbatch, which hands them on to the job."""
    kept = _without(variables, _passed(variables))
    for name in _CLUSTERS:
        kept.pop(name, None)
    named = ",".join(clusters(variables))
    return {**kept, "SBATCH_CLUSTERS": named} if named else kept


def ignored(variables: Mapping[str, str]) -> List[str]:
    """Return the names of sbatch's variables that do not reach it, outside an allocation.

    In an allocation nobody chose them: Slurm set them for that job.
    """
    passed = _passed(variables)
    names = {name for name in variables if name.startswith("SBATCH_")} - passed
    if _ANY_CLUSTER in _asked_clusters(variables):
        names.update(name for name in _CLUSTERS if name in variables)
    return sorted(names)


def clusters(variables: Mapping[str, str]) -> List[str]:
    """Return the clusters that sbatch may choose from; none named is the default one."""
    asked = _asked_clusters(variables)
    return [] if _ANY_CLUSTER in asked else asked


def _asked_clusters(variables: Mapping[str, str]) -> List[str]:
    text = next((variables[name] for name in _CLUSTERS if variables.get(name)), "")
    return [name.strip() for name in text.split(",") if name.strip()]


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
