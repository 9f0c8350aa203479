"""Held jobs that a late acceptance left behind beside the one that counts."""

from typing import List

from pytest_remex.agent.slurm import attempts, client, command_lines, folders
from pytest_remex.agent.slurm.parse import Listed
from pytest_remex.agent.wire import Reply
from pytest_remex.common import paths
from pytest_remex.common.jobs import JobId, number_of
from pytest_remex.common.protocol import OrphansCancelled

COMMENT = "remex:"
"""What the comment of each job of ours starts with."""


def sweep(rows: List[Listed], runs: List[str], cluster: str, reply: Reply) -> None:
    """Cancel our held jobs in `runs`, folders of units, where another job was settled on."""
    homes = {name: paths.keep(run) for run in runs for name in folders.spellings(run)}
    held = [row for row in rows if row.held_by_user and row.comment.startswith(COMMENT)]
    found = [row for row in held if row.work_dir in homes and _stray(row, homes[row.work_dir])]
    stray = sorted({number_of(row.id) for row in found}, key=int)
    for some in client.chunks(stray):
        client.run(command_lines.cancel_held(some, cluster))
        reply.send(OrphansCancelled(some))


def _stray(row: Listed, home: str) -> bool:
    settled = attempts.settled_jobs(home)
    if not settled:
        return False
    return number_of(row.id) not in {JobId.parse(job).on_cluster for job in settled}
