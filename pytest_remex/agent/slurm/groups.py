"""Units of many runs: a folder of their own that one sbatch starts in.

It holds a link to each run directory, named by the run's index, and the scripts that are run.
"""

import os
import shutil
from typing import Dict, List, NamedTuple, Optional

from pytest_remex.agent import fs
from pytest_remex.agent.errors import AgentError
from pytest_remex.agent.slurm import arrays, packs
from pytest_remex.agent.submissions import Submission
from pytest_remex.common import paths


class Group(NamedTuple):
    """What a unit of many runs needs: scripts by name, and options for sbatch."""

    scripts: Dict[str, str]
    options: List[str]


def of(unit: Submission) -> Optional[Group]:
    """Give what a unit of many runs needs, None for a single run."""
    if unit.array is not None:
        return Group(arrays.scripts(unit.array), arrays.options(unit, unit.array))
    if unit.pack is not None:
        return Group(packs.scripts(unit, unit.pack), packs.options(unit.pack))
    return None


def prepare(unit: Submission, group: Group) -> None:
    """Make a unit's folder, once; an error of kind runs when it is there for other runs."""
    listed = "".join(name + "\n" for name in unit.directories)
    if not os.path.isdir(unit.folder):
        built = f"{unit.folder}.{fs.unique()}"
        fs.make_common(unit.runs, os.path.dirname(unit.folder))
        _build(unit, {**group.scripts, "runs": listed}, built)
        _publish(built, unit.folder)
    if fs.read(os.path.join(unit.folder, "runs")) != listed:
        message = f"{unit.folder} is there already, for other runs; launch again"
        raise AgentError("runs", message)


def _build(unit: Submission, texts: Dict[str, str], built: str) -> None:
    os.makedirs(paths.keep(built))
    os.mkdir(os.path.join(built, "log"))
    for index, place in enumerate(unit.places):
        os.symlink(place, os.path.join(built, str(index)))
    for name, text in texts.items():
        fs.replace(os.path.join(built, name), text)


def _publish(built: str, folder: str) -> None:
    try:
        os.rename(built, folder)
    except OSError:
        # another agent of the same launch was faster
        shutil.rmtree(built, ignore_errors=True)
        if not os.path.isdir(folder):
            raise
