"""Look in Slurm, once for a whole batch, for the jobs that sbatch has just told of.

A site's wrapper or job_submit plugin may print any number and end well, and may make an array of a
job. As long as a job is held, both can still be put right.
"""

from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.slurm import attempts, client, command_lines, folders, parse
from pytest_remex.agent.slurm.parse import Listed
from pytest_remex.agent.slurm.sbatch_result import DOUBT, REJECTED, SbatchResult
from pytest_remex.agent.submissions import Submission
from pytest_remex.common.jobs import JobId, number_of

UNWANTED = (
    "Slurm made {got} where {wanted} was asked for (job {job}, cancelled): look for what adds or"
    " changes --array, as a site's sbatch wrapper or job_submit plugin, or an sbatch alias"
)


class Told(NamedTuple):
    """A job that an attempt became: as its sbatch told seconds ago, or `found` in Slurm."""

    unit: Submission
    number: int
    job: str
    found: bool = False


def verify(told: List[Told]) -> Iterator[Tuple[Submission, SbatchResult]]:
    """Return the units whose job is not what was told, noted as such, with their new verdicts.

    Where Slurm cannot be asked its sbatch is believed.
    """
    by_cluster: Dict[str, List[Told]] = {}
    for one in told:
        by_cluster.setdefault(JobId.parse(one.job).cluster, []).append(one)
    for cluster, some in by_cluster.items():
        rows: Dict[str, List[Listed]] = {}
        try:
            for row in client.listing(cluster):
                rows.setdefault(number_of(row.id), []).append(row)
        except AgentError:
            continue
        for one in some:
            verdict = _judge(one, rows.get(JobId.parse(one.job).on_cluster, []))
            if verdict is not None:
                yield one.unit, verdict


def _judge(told: Told, rows: List[Listed]) -> Optional[SbatchResult]:
    if not told.found and not _is_of(told, rows):
        attempts.disown(told.unit.home, told.unit.job_number, told.number)
        return SbatchResult(DOUBT)
    got = {row.id.partition("_")[2] for row in rows}
    wanted = _tasks(told.unit)
    if not rows or got == wanted:
        return None
    return _give_up(told, UNWANTED.format(got=_name(got), wanted=_name(wanted), job=told.job))


def _is_of(told: Told, rows: List[Listed]) -> bool:
    unit = told.unit
    names = folders.spellings(unit.folder)
    # an earlier submission of the run has the same folder and comment
    if unit.job_number > 1 and told.job in attempts.jobs_of_others(unit.home, unit.job_number):
        return False
    if rows:
        return all(row.work_dir in names or row.comment == unit.comment for row in rows)
    # a site may answer squeue from a cache: the controller itself knows
    job = JobId.parse(told.job)
    ran = client.run(command_lines.show(job.on_cluster, job.cluster))
    if not ran.well:
        return "Invalid job id" not in ran.words()
    return parse.shows_folder(ran.out, names)


def _tasks(unit: Submission) -> Set[str]:
    """Return the indices of a unit's tasks; one without a name is a job that is no array."""
    if unit.array is None:
        return {""}
    return {str(index) for index in range(len(unit.directories))}


def _name(tasks: Set[str]) -> str:
    return "one job" if tasks == {""} else f"an array of {len(tasks)} tasks"


def _give_up(told: Told, words: str) -> SbatchResult:
    local, cluster = JobId.parse(told.job).on_cluster, JobId.parse(told.job).cluster
    client.run(command_lines.cancel_held([local], cluster))
    attempts.refuse(told.unit.home, told.unit.job_number, told.number, words)
    return SbatchResult(REJECTED, words=words)
