"""Slurm's accounting on this machine: a MariaDB of its own and slurmdbd."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from support.slurm_config import slurmdbd_conf

if TYPE_CHECKING:
    from support.daemons import Daemon, Scratch
    from support.slurm_config import Layout

SLOWEST = 120.0
"""Seconds that making the database, or a command to it, may take."""


class Accounting:
    """The database and slurmdbd of one cluster; `slurmdbd` can be stopped, frozen and killed."""

    def __init__(self, scratch: Scratch, layout: Layout) -> None:
        self._layout = layout
        self._data = layout.folder / "database"
        self._socket = self._data / "socket"
        self.database = self._describe_database(scratch)
        self.slurmdbd: Daemon = scratch.daemon(
            "slurmdbd",
            "-D",
            ready=self._answers,
            MYSQL_UNIX_PORT=str(self._socket),
            SLURM_CONF=str(layout.folder / "slurm.conf"),
        )

    def start(self) -> None:
        """Start what does not run; the first time, make the database and the user's account."""
        first = not self._data.exists()
        if first:
            self._create()
        self.database.start()
        if first:
            self._create_database()
        self.slurmdbd.start()
        if first:
            self._add_user()

    def age(self, job: str, seconds: float) -> None:
        """Date a job's row back, as if it had been submitted, begun and ended that much earlier."""
        times = ("submit", "start", "end")  # eligible may be 0
        earlier = ", ".join(f"time_{each} = time_{each} - {int(seconds)}" for each in times)
        table = f"slurm.{self._layout.name}_job_table"
        self._execute(f"UPDATE {table} SET {earlier} WHERE id_job = {int(job)}")  # noqa: S608 - ours

    def _describe_database(self, scratch: Scratch) -> Daemon:
        return scratch.daemon(
            "mariadbd",
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={self._socket}",
            f"--pid-file={self._data}/pid",
            "--skip-networking",
            "--user=root",
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-lock-wait-timeout=900",
            ready=self._socket.exists,
        )

    def _create(self) -> None:
        self._data.mkdir(mode=0o700)
        install = [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={self._data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--user=root",
        ]
        subprocess.run(install, check=True, capture_output=True, timeout=SLOWEST)
        configuration = self._layout.folder / "slurmdbd.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(slurmdbd_conf(self._layout))

    def _create_database(self) -> None:
        """Make the empty database: the client library 11.8.9 fails once one was not there."""
        self._execute("CREATE DATABASE slurm")

    def _execute(self, statement: str) -> None:
        command = ["mariadb", "--no-defaults", f"--socket={self._socket}", "--user=root"]
        subprocess.run(
            [*command, f"--execute={statement}"], check=True, capture_output=True, timeout=SLOWEST
        )

    def _add_user(self) -> None:
        self._sacctmgr("add", "cluster", self._layout.name)
        self._sacctmgr("add", "account", "tests", f"cluster={self._layout.name}")
        self._sacctmgr("add", "user", "root", "account=tests", f"cluster={self._layout.name}")

    def _sacctmgr(self, *arguments: str) -> None:
        subprocess.run(
            ["sacctmgr", "-i", *arguments],
            env=self.slurmdbd.environment,
            check=True,
            capture_output=True,
            timeout=SLOWEST,
        )

    def _answers(self) -> bool:
        command = ["sacctmgr", "-n", "show", "cluster"]
        answer = subprocess.run(
            command,
            env=self.slurmdbd.environment,
            check=False,
            capture_output=True,
            timeout=SLOWEST,
        )
        return answer.returncode == 0
