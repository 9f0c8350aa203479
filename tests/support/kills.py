"""Kill a command, its agent or its link at a moment of its launch, or Slurm's controller."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.daemons import wait_until
from support.launches import LONGEST, finished

if TYPE_CHECKING:
    from support.forks import Fork
    from support.launches import User
    from support.slurm import SlurmCluster

LOOK = 0.001
GROUPINGS = {"plain": (), "array": ("--remex-array",), "pack": ("--remex-pack=2",)}
VICTIMS = ("client", "agent", "link")
MOST = 3
"""Faults in a row, before the command is left alone."""

EDGES = (
    "COMMITTED",
    "PUSHING",
    "PUSHED",
    "PLACED",
    "SUBMITTING",
    "HELD",
    "RELEASED",
    "TIDIED",
)
"""The states of a launch record, in the order in which a launch comes to them."""


@dataclass(frozen=True)
class Moment:
    """A moment of a command: its record has so many lines of a state, and so many seconds more.

    Without a state the seconds count from the command's start.
    """

    state: str
    count: int
    seconds: float

    @classmethod
    def of_a_launch(cls, random: random.Random, experiments: int) -> Moment:
        """Draw a moment of a launch."""
        state = random.choice(("", *EDGES))
        several = state not in {"", "PUSHING", "PUSHED", "TIDIED"}
        count = random.randint(1, experiments) if several else int(bool(state))
        return cls(state, count, random.uniform(0, 0.3 if state else 1.5))

    @classmethod
    def of_launches(cls, random: random.Random, experiments: int, most: int) -> list[Moment]:
        """Draw moments of one to `most` launches in a row.

        A launch that continues another comes to few states: a time after its start hits it more
        often.
        """
        later = range(random.randint(0, most - 1))
        return [
            cls.of_a_launch(random, experiments),
            *(cls("", 0, random.uniform(0.3, 2.5)) for _ in later),
        ]

    def wait(
        self,
        user: User,
        process: Fork,
        earlier: int = 0,
        longest: float = LONGEST,
    ) -> bool:
        """Wait for the moment; return False if the command ended before it."""
        deadline = time.monotonic() + longest
        while process.poll() is None and _lines(user, self.state) < earlier + self.count:
            assert time.monotonic() < deadline, f"no {self.state} within {longest} s"
            time.sleep(LOOK)
        end = time.monotonic() + self.seconds
        while process.poll() is None and time.monotonic() < end:
            time.sleep(LOOK)
        return process.poll() is None


def disturb(user: User, moment: Moment, fault: Callable[[], object], *arguments: str) -> bool:
    """Run a command, inject a fault at a moment, and wait for the command's end.

    Returns:
        Whether the fault came before the end.
    """
    earlier = _lines(user, moment.state)
    process = user.start(*arguments)
    met = moment.wait(user, process, earlier)
    if met:
        fault()
    finished(process).without_traceback()
    return met


def agents(cluster: SlurmCluster) -> Iterator[int]:
    """Yield the process ids of the agents that run on a cluster's login node."""
    sign = f"SLURM_CONF={cluster.variables['SLURM_CONF']}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if b"python3" in words[0] and sign in (process / "environ").read_bytes().split(b"\0"):
                yield int(process.name)


def kill_agents(cluster: SlurmCluster) -> None:
    """End the agents on a cluster's login node, as kill -9 does; not what they started."""
    for agent in agents(cluster):
        with suppress(ProcessLookupError):
            os.kill(agent, signal.SIGKILL)


def kill_at(user: User, state: str, count: int = 1, *arguments: str) -> bool:
    """Submit, and kill when the launch records have so many more lines of a state.

    Returns:
        Whether the command was killed before its end.
    """
    return _kill_at(Moment(state, count, 0), user, *arguments)


def kill_after(user: User, seconds: float, *arguments: str) -> bool:
    """Submit, and kill after so many seconds; return whether that was before the end."""
    return _kill_at(Moment("", 0, seconds), user, *arguments)


def _kill_at(moment: Moment, user: User, *arguments: str) -> bool:
    earlier = _lines(user, moment.state)
    process = user.start("--remex-submit", *arguments)
    killed = moment.wait(user, process, earlier)
    process.kill()
    process.communicate(timeout=LONGEST)
    return killed


def _lines(user: User, state: str) -> int:
    mark = f'"state": "{state}"'.encode()
    records = (user.output / "launches").glob("*.jsonl")
    return sum(path.read_bytes().count(mark) for path in records)


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
