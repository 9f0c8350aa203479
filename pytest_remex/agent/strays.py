"""Held jobs that a late acceptance left behind beside the one that counts."""

import os
from typing import Dict, List

from . import attempts, paths, slurm, slurm_commands
from .slurm_parse import Listed
from .wire import Talk

COMMENT = "remex:"
"""What the comment of each job of ours starts with."""


def belongs(work_dir: str, folder: str) -> bool:
    """Whether a job's WorkDir, as squeue or sacct writes it, is a folder; unknown counts as yes."""
    names = (folder, os.path.realpath(folder))
    return not work_dir or work_dir in names or work_dir in [as_sacct_writes(n) for n in names]


def as_sacct_writes(folder: str) -> str:
    """Give a folder as sacct prints it: with grave accents for quotes."""
    return folder.replace('"', "`").replace("'", "`")


def sweep(rows: List[Listed], folders: List[str], cluster: str, talk: Talk) -> None:
    """Cancel our held jobs in folders where another job was settled on."""
    homes: Dict[str, str] = {}
    for folder in folders:
        homes[folder] = homes[os.path.realpath(folder)] = paths.keep(folder)
    stray = []
    for row in rows:
        home = homes.get(row.work_dir)
        if home and row.held_by_user and row.comment.startswith(COMMENT):
            if attempts.all_settled(home) and row.id not in attempts.known_jobs(home):
                stray.append(row.id)
    for some in slurm.chunks(stray):
        slurm.run(slurm_commands.cancel_held(some, cluster))
        talk.event("swept", jobs=some)
