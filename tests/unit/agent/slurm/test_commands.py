"""The commands of Slurm, and which variables of a login environment reach them."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.agent.slurm import commands

CHOSEN = {"SBATCH_ACCOUNT": "a", "SBATCH_PARTITION": "p", "SBATCH_QOS": "q", "PATH": "/bin"}
CHANGES = [
    "ARRAY_INX", "OUTPUT", "ERROR", "INPUT", "WAIT", "EXCLUSIVE", "EXPORT", "REQUEUE", "OPEN_MODE",
    "JOB_NAME", "MEM_PER_NODE", "GET_USER_ENV", "NEW_IN_A_LATER_VERSION",
]  # fmt: skip


def test_only_who_where_and_when_reach_sbatch():
    """Variables that change the job itself are removed and named; others are kept."""
    variables = {**CHOSEN, **{f"SBATCH_{name}": "1" for name in CHANGES}, "SLURM_HINT": "x"}
    assert commands.variables_for_submission(variables) == CHOSEN
    assert commands.ignored_variables(variables) == sorted(f"SBATCH_{name}" for name in CHANGES)


def test_an_allocation_does_not_leak():
    """Of the variables of the job from which a user logged in, only its cluster is kept."""
    leaked = {"SLURM_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SLURM_CPUS_PER_TASK": "64",
              "SLURM_CPU_BIND": "quiet,mask_cpu:0x1", "SLURM_MEM_PER_CPU": "1"}  # fmt: skip
    kept = {"SLURM_CONF": "/etc/slurm.conf", "SBATCH_ACCOUNT": "a"}
    assert commands.variables_for_submission({**leaked, **kept}) == kept
    assert commands.ignored_variables({**leaked, **kept}) == []


def test_a_sites_choices_for_srun_stay():
    """Outside an allocation a site's settings for srun reach the job."""
    variables = {"SLURM_MPI_TYPE": "pmix", "SLURM_CPU_BIND": "cores"}
    assert commands.variables_for_submission(variables) == variables


def test_clusters_are_named_once():
    """SBATCH_CLUSTERS goes before SLURM_CLUSTERS; `all` cannot be listed, so it does not count."""
    both = {"SBATCH_CLUSTERS": "east,west", "SLURM_CLUSTERS": "north"}
    assert commands.variables_for_submission(both) == {"SBATCH_CLUSTERS": "east,west"}
    assert commands.clusters(both) == ["east", "west"]
    assert commands.clusters({"SLURM_CLUSTERS": "north"}) == ["north"]
    every = {"SLURM_CLUSTERS": "all"}
    assert (commands.variables_for_submission(every), commands.clusters(every)) == ({}, [])
    assert commands.ignored_variables(every) == ["SLURM_CLUSTERS"]


@given(
    st.sampled_from(["SBATCH_", "SLURM_", "SQUEUE_", "SACCT_", "SCONTROL_", "SCANCEL_"]),
    st.from_regex(r"[A-Z_]{1,20}", fullmatch=True),
)
def test_questions_are_asked_without_a_users_settings(prefix, name):
    """No option of another command reaches squeue, sacct, scontrol or scancel."""
    asked = commands.variables_for_questions(
        {prefix + name: "x", "SLURM_CONF": "c", "PATH": "/bin"}
    )
    passed = {"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_SACK_KEY", "SLURM_SACK_JWKS"}
    assert set(asked) - passed == {"PATH", "SLURM_BITSTR_LEN", "LC_ALL"}


def test_no_filter_goes_with_a_cancel():
    """A filter would make scancel end the whole array of a task."""
    assert commands.cancel(["12_3"]) == ["scancel", "12_3"]
