"""Run Slurm's commands: the door to the cluster's scheduler, but for sbatch itself."""

import os
import shutil
import time
from typing import Dict, List, NamedTuple, Optional, Tuple

from . import commands, parallel, slurm_commands, slurm_environment, slurm_parse
from .faults import AgentError
from .slurm_parse import Accounted, Listed

PATIENCE = 120.0
"""Seconds for one command; a frozen controller answers late."""
LENGTH = 30_000
"""Bytes of job ids in one command; Linux takes 128 kB in one argument."""


class NoAccountingError(AgentError):
    """The cluster has no accounting to ask: other sources must do."""


class Limits(NamedTuple):
    """What a cluster says of itself; None where it does not."""

    slurm: Optional[str]
    sacct: bool
    max_array_size: Optional[int]
    max_submit: Optional[int]
    message_timeout: Optional[int]


def limits() -> Limits:
    """Ask for the cluster's version and limits; an error of kind slurm when there is no sbatch."""
    if shutil.which("sbatch") is None:
        message = "sbatch is not on PATH there; load Slurm's module in your shell's start-up files"
        raise AgentError("slurm", message)
    asked = {
        "version": slurm_commands.version(),
        "config": slurm_commands.config(),
        "associations": slurm_commands.associations(),
        "qualities": slurm_commands.qualities(),
    }
    said: Dict[str, str] = {}
    parallel.each(asked, lambda name: said.update({name: run(asked[name]).out}), len(asked))
    config = slurm_parse.settings(said["config"])
    accounting = config.get("AccountingStorageType", "").partition("/")[2] not in ("", "none")
    return Limits(
        slurm=said["version"].split()[-1] if said["version"].strip() else None,
        sacct=accounting and shutil.which("sacct") is not None,
        max_array_size=_first_number(config.get("MaxArraySize")),
        max_submit=slurm_parse.max_submit(said["associations"], said["qualities"]),
        message_timeout=_first_number(config.get("MessageTimeout")),
    )


def message_timeout() -> float:
    """Give the seconds after which Slurm's commands give up; 10 is its default."""
    said = slurm_parse.settings(run(slurm_commands.config()).out)
    return float(_first_number(said.get("MessageTimeout")) or 10)


def listing(cluster: str = "") -> List[Listed]:
    """Give the user's jobs that the controller remembers; an error of kind slurm if it fails."""
    ran = run(slurm_commands.listing(cluster))
    if not ran.well:
        raise AgentError("slurm", f"squeue failed: {ran.words()}")
    return slurm_parse.listing(ran.out)


def exit_codes(jobs: List[str], cluster: str = "") -> Dict[str, Tuple[int, int]]:
    """Give exit codes and signals of ended jobs that the controller remembers, where it tells."""
    found: Dict[str, Tuple[int, int]] = {}
    for some in chunks(jobs):
        ran = run(slurm_commands.exit_codes(some, cluster))
        found.update(slurm_parse.exit_codes(ran.out))
    return found


def accounts(jobs: List[str], since: float, cluster: str = "") -> Dict[str, Accounted]:
    """Give what the accounting knows of jobs since a time; an error of kind slurm if it fails."""
    found: Dict[str, Accounted] = {}
    for some in chunks(jobs):
        found.update(_accounts(slurm_commands.accounts(some, moment(since), cluster)))
    return found


def accounts_of_user(since: float, cluster: str = "") -> Dict[str, Accounted]:
    """Give all of the user's jobs since a time that the accounting knows; fails as `accounts`."""
    return _accounts(slurm_commands.accounts_of_user(moment(since), cluster))


def run(words: List[str], patience: float = PATIENCE) -> commands.Ran:
    """Run a command with the user's own filters and formats for it taken away."""
    return commands.run(words, timeout=patience, env=slurm_environment.for_questions(os.environ))


def chunks(jobs: List[str]) -> List[List[str]]:
    """Split job ids so that each part fits on a command line."""
    parts: List[List[str]] = []
    length = LENGTH
    for job in jobs:
        length += len(job) + 1
        if length > LENGTH:
            parts.append([])
            length = len(job) + 1
        parts[-1].append(job)
    return parts


def moment(seconds: float) -> str:
    """Write a time as sacct's -S reads it, in local time."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))


def _accounts(words: List[str]) -> Dict[str, Accounted]:
    ran = run(words)
    if ran.code == commands.MISSING or "accounting storage is disabled" in ran.err:
        raise NoAccountingError("slurm", "this cluster keeps no accounts")
    if not ran.well:
        raise AgentError("slurm", f"sacct failed: {ran.words()}")
    return slurm_parse.accounts(ran.out)


def _first_number(text: Optional[str]) -> Optional[int]:
    word = (text or "").split(None, 1)
    return int(word[0]) if word and word[0].isdigit() else None
