"""Whose a job number is: Slurm gives numbers again when its controller has lost jobs in a crash."""

import os
from typing import Dict, List

from pytest_remex.agent.slurm import client
from pytest_remex.agent.slurm.parse import Listed
from pytest_remex.common.jobs import number_of

FOREIGN = "Slurm lost job {job}, and gave its number to another's: --remex-retry submits it again"


class Owned:
    """The jobs that the controller remembers just now, and which of them belong to `runs`.

    Raises an error of kind slurm where the controller cannot be asked.
    """

    def __init__(self, runs: str, cluster: str) -> None:
        self._runs = os.path.realpath(runs)
        self._rows: Dict[str, List[Listed]] = {}
        for row in client.listing(cluster):
            self._rows.setdefault(number_of(row.id), []).append(row)

    def listed(self, job: str) -> bool:
        """Whether the controller knows this number as the user's."""
        return number_of(job) in self._rows

    def held(self, job: str) -> bool:
        """Whether the job, or a task of it, waits for its user's release."""
        return any(row.held_by_user for row in self._rows_of(job))

    def ours(self, job: str) -> bool:
        """Whether all that has this number starts in the runs folder."""
        return all(self._inside(row) for row in self._rows_of(job))

    def _rows_of(self, job: str) -> List[Listed]:
        return self._rows.get(number_of(job), [])

    def _inside(self, row: Listed) -> bool:
        return os.path.realpath(row.work_dir).startswith(self._runs + os.sep)
