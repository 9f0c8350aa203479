"""Look in Slurm, once for a whole batch, for the jobs that sbatch has just told of.

A site's wrapper or job_submit plugin may print any number and end well, and may make an array of a
job. As long as a job is held, both can still be put right.
"""

from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from . import attempts, folders, job_ids, slurm, slurm_commands, slurm_parse
from .faults import AgentError
from .slurm_parse import Listed
from .units import Unit
from .verdicts import DOUBT, REJECTED, Verdict

UNWANTED = (
    "Slurm made {got} where {wanted} was asked for (job {job}, cancelled): look for what adds or"
    " changes --array, as a site's sbatch wrapper or job_submit plugin, or an sbatch alias"
)


class Told(NamedTuple):
    """A job that an attempt became: as its sbatch told seconds ago, or `found` in Slurm."""

    unit: Unit
    number: int
    job: str
    found: bool = False


def verify(told: List[Told]) -> Iterator[Tuple[Unit, Verdict]]:
    """Return the units whose job is not what was told, noted as such, with their new verdicts.

    Where Slurm cannot be asked its sbatch is believed.
    """
    by_cluster: Dict[str, List[Told]] = {}
    for one in told:
        by_cluster.setdefault(job_ids.cluster_of(one.job), []).append(one)
    for cluster, some in by_cluster.items():
        rows: Dict[str, List[Listed]] = {}
        try:
            for row in slurm.listing(cluster):
                rows.setdefault(job_ids.whole_of(row.id), []).append(row)
        except AgentError:
            continue
        for one in some:
            verdict = _judge(one, rows.get(job_ids.local_of(one.job), []))
            if verdict is not None:
                yield one.unit, verdict


def _judge(told: Told, rows: List[Listed]) -> Optional[Verdict]:
    if not told.found and not _is_of(told, rows):
        attempts.disown(told.unit.home, told.unit.serial, told.number)
        return Verdict(DOUBT)
    got = {row.id.partition("_")[2] for row in rows}
    wanted = _tasks(told.unit)
    if not rows or got == wanted:
        return None
    return _give_up(told, UNWANTED.format(got=_name(got), wanted=_name(wanted), job=told.job))


def _is_of(told: Told, rows: List[Listed]) -> bool:
    unit = told.unit
    names = folders.spellings(unit.folder)
    # an earlier submission of the run has the same folder and comment
    if unit.serial > 1 and told.job in attempts.jobs_of_others(unit.home, unit.serial):
        return False
    if rows:
        return all(row.work_dir in names or row.comment == unit.comment for row in rows)
    # a site may answer squeue from a cache: the controller itself knows
    ran = slurm.run(slurm_commands.show(job_ids.local_of(told.job), job_ids.cluster_of(told.job)))
    if not ran.well:
        return "Invalid job id" not in ran.words()
    return slurm_parse.shows_folder(ran.out, names)


def _tasks(unit: Unit) -> Set[str]:
    """Return the indices of a unit's tasks; one without a name is a job that is no array."""
    if unit.array is None:
        return {""}
    return {str(index) for index in range(len(unit.directories))}


def _name(tasks: Set[str]) -> str:
    return "one job" if tasks == {""} else f"an array of {len(tasks)} tasks"


def _give_up(told: Told, words: str) -> Verdict:
    local, cluster = job_ids.local_of(told.job), job_ids.cluster_of(told.job)
    slurm.run(slurm_commands.cancel_held([local], cluster))
    attempts.refuse(told.unit.home, told.unit.serial, told.number, words)
    return Verdict(REJECTED, words=words)
