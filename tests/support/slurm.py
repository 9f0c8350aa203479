"""A real Slurm on this machine: munge, slurmctld, nodes and, if requested, accounting."""

from __future__ import annotations

import functools
import os
import re
import secrets
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support.accounting import Accounting
from support.daemons import Daemon, Scratch, free_port, wait_until
from support.slurm_config import Layout, slurm_conf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SEPARATOR = "\x1f"
KNOWS_NO_CGROUPS = (23, 2)
"""From this Slurm on a node needs cgroups and systemd, unless it is told that there are none."""
GOES_ON_IN_A_CHILD = (23, 11)
"""From this Slurm on a controller that reconfigures goes on in a child: signals miss that."""
AT_START = frozenset({"MaxArraySize", "MaxJobCount", "FirstJobId", "MaxJobId"})
"""Settings that the controller reads when it starts, and not when it is told to reconfigure."""
SERVING = frozenset({"idle", "mix", "alloc", "comp", "drain", "drng"})


@functools.cache
def version() -> tuple[int, int]:
    """Return the installed Slurm's version: (24, 11)."""
    said = subprocess.run(
        ["slurmctld", "-V"], check=True, capture_output=True, text=True, timeout=30
    ).stdout
    year, month = re.findall(r"\d+", said)[:2]
    return int(year), int(month)


@dataclass(frozen=True)
class SlurmJob:
    """A job as squeue lists it; each task of an array is one job."""

    id: str
    state: str
    reason: str
    name: str
    comment: str
    work_dir: Path

    @property
    def held(self) -> bool:
        """Whether the job waits because its user holds it."""
        return self.state == "PENDING" and self.reason == "JobHeldUser"


class SlurmCluster:
    """A cluster with its own folder, ports and munge key; SLURM_CONF selects it.

    Use it in a with statement: it serves inside, and leaves nothing behind.
    `settings` are lines of slurm.conf, for instance `{"MaxArraySize": "11"}`.
    """

    def __init__(
        self,
        *,
        accounting: bool = False,
        nodes: int = 2,
        cpus: int = 4,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._scratch = Scratch("remex-slurm-")
        self._stack = ExitStack()
        self._stack.callback(self._scratch.close)
        self.folder = self._scratch.folder
        self.layout = Layout(
            name=f"test{secrets.token_hex(3)}",
            folder=self.folder,
            controller_port=free_port(),
            node_ports=tuple(free_port() for _ in range(nodes)),
            cpus=cpus,
            accounting_port=free_port() if accounting else None,
        )
        self.settings = dict(settings or {})
        self.variables = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self.environment = dict(os.environ) | self.variables
        self._munge = self._describe_munge()
        self.accounting = Accounting(self._scratch, self.layout) if accounting else None
        self.controller = self._daemon("slurmctld", "-D", ready=self._answers)
        self.nodes = [
            self._daemon("slurmd", "-D", "-N", name, ready=lambda: True)
            for name in self.layout.nodes
        ]

    def __enter__(self) -> Self:
        with ExitStack() as on_failure:
            on_failure.callback(self._stack.close)
            self._write_settings({})
            self._munge.start()
            if self.accounting is not None:
                self.accounting.start()
            for daemon in [self.controller, *self.nodes]:
                daemon.launch()
            self.start()
            wait_until(self._nodes_serve, "the nodes serve")
            on_failure.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start what does not run of the cluster; after a crash, nodes take jobs within 4 s."""
        if self.accounting is not None:
            self.accounting.start()
        self.controller.start()
        for node in self.nodes:
            node.start()

    def run(
        self, *command: str, cwd: Path | None = None, check: bool = True, timeout: float = 60
    ) -> str:
        """Run a program with this cluster selected; return its output, RuntimeError if it fails."""
        result = subprocess.run(
            command,
            env=self.environment,
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and result.returncode:
            raise RuntimeError(f"{' '.join(command)}: {result.stderr or result.stdout}")
        return result.stdout

    def jobs(self) -> list[SlurmJob]:
        """List all jobs that the controller remembers, ended ones too, by id."""
        layout = SEPARATOR.join(["%i", "%T", "%r", "%j", "%k", "%Z"])
        lines = self.run("squeue", "-h", "-a", "-r", "-t", "all", "-S", "i", "-o", layout)
        return [_job(line) for line in lines.splitlines()]

    def wait(self, *ids: str, seconds: float = 30) -> dict[str, SlurmJob]:
        """Wait until these jobs (default: all) have left the queue; return those known by id."""
        live = ["squeue", "-h", "-o", "%i", *(["-j", ",".join(ids)] if ids else [])]
        try:
            wait_until(lambda: not self.run(*live, check=False).strip(), "jobs have ended", seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n{self.run('squeue', '-l')}") from error
        return {job.id: job for job in self.jobs()}

    def wait_saved(self, since: float) -> None:
        """Wait until the controller has saved its jobs after this moment (of time.time()).

        It saves at most every 5 s. A crash before loses jobs that it acknowledged, and gives
        their ids to others.
        """
        state = self.folder / "state" / "job_state"
        wait_until(lambda: state.exists() and state.stat().st_mtime > since, "jobs are saved")

    def down(self) -> None:
        """Let the partition accept jobs and run none."""
        self.run("scontrol", "update", "partitionname=main", "state=down")

    def up(self) -> None:
        self.run("scontrol", "update", "partitionname=main", "state=up")

    @contextmanager
    def changed(self, **settings: str) -> Iterator[None]:
        """Run the controller with other settings for the length of a with block."""
        restart = not AT_START.isdisjoint(settings) or version() >= GOES_ON_IN_A_CHILD
        self._reconfigure(settings, restart=restart)
        try:
            yield
        finally:
            self._reconfigure({}, restart=restart)

    @contextmanager
    def submit_limit(self, jobs: int) -> Iterator[None]:
        """Limit the user's submitted jobs (MaxSubmitJobs) for the length of a with block."""
        if self.accounting is None:
            raise RuntimeError("submit_limit needs a cluster with accounting")
        limit = ["sacctmgr", "-i", "modify", "user", "name=root", "set"]
        self.run(*limit, f"MaxSubmitJobs={jobs}")
        try:
            yield
        finally:
            self.run(*limit, "MaxSubmitJobs=-1")

    def reset(self) -> None:
        """Bring everything back into service and end all jobs; the ended stay remembered."""
        for daemon in self._scratch.daemons:
            daemon.thaw()
        if not all(daemon.running for daemon in self._scratch.daemons):
            self.start()
        self.up()
        self.run("scancel", "--quiet", "--user=root", check=False)
        self.wait()

    def _daemon(self, *command: str, ready: Callable[[], object]) -> Daemon:
        return self._scratch.daemon(*command, ready=ready, **self.variables)

    def _describe_munge(self) -> Daemon:
        self.folder.chmod(0o711)  # munged wants a socket that every user can reach
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        socket = self.layout.munge_socket
        files = [f"--{kind}-file={self.folder}/munge.{kind}" for kind in ("pid", "log", "seed")]
        return self._daemon(
            "munged", "-F", f"--socket={socket}", f"--key-file={key}", *files, ready=socket.exists
        )

    def _write_settings(self, extra: Mapping[str, str]) -> None:
        for name in ("state", "spool"):
            (self.folder / name).mkdir(exist_ok=True)
        text = slurm_conf(self.layout, self.settings | dict(extra))
        (self.folder / "slurm.conf").write_text(text)
        if version() >= KNOWS_NO_CGROUPS:
            (self.folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")

    def _reconfigure(self, settings: Mapping[str, str], *, restart: bool) -> None:
        self._write_settings(settings)
        if restart:
            self.controller.stop()
            self.controller.start()
        else:
            self.run("scontrol", "reconfigure")

    def _answers(self) -> bool:
        return "is UP" in self.run("scontrol", "ping", check=False)

    def _nodes_serve(self) -> bool:
        states = self.run("sinfo", "-h", "-N", "-o", "%t", check=False).split()
        return len(states) == len(self.nodes) and SERVING.issuperset(states)


def _job(line: str) -> SlurmJob:
    number, state, reason, name, comment, work_dir = line.split(SEPARATOR)
    comment = "" if comment == "(null)" else comment
    return SlurmJob(number, state, reason, name, comment, Path(work_dir))
