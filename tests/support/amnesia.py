"""A controller that crashes, forgets jobs, and gives their numbers to others."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from support.daemons import wait_until
from support.kills import agents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from support.slurm import SlurmCluster


@contextmanager
def forgotten(cluster: SlurmCluster, folder: Path) -> Iterator[None]:
    """Let the controller crash after the block, and come back as it was before it.

    Until then no job starts; the agents that the block left behind have ended by the crash, so
    that none of their commands waits for the controller that comes back. `folder` keeps the state.
    """
    state, kept = cluster.folder / "state", folder / "state"
    cluster.down()
    with cluster.controller.stopped():
        shutil.copytree(state, kept)
    cluster.down()  # a controller that was stopped in a hurry forgets it
    yield
    wait_until(lambda: not list(agents(cluster)), "the agents have ended")
    cluster.controller.kill()
    shutil.rmtree(state)
    shutil.copytree(kept, state)
    cluster.start()


def occupy(cluster: SlurmCluster, jobs: Iterable[str]) -> set[str]:
    """Let the user's other held jobs have the numbers of these; return those that they got."""
    wanted = {job.partition("_")[0] for job in jobs}
    command = ["sbatch", "--parsable", "--hold", "--wrap=true", "--output=/dev/null"]
    got = {cluster.run(*command).strip() for _ in range(len(wanted) + 2)}
    return got & wanted
