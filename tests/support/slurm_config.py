"""The text of slurm.conf and slurmdbd.conf for a cluster on one machine."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULTS = {
    "SlurmUser": "root",
    "SlurmdUser": "root",
    "AuthType": "auth/munge",
    "ProctrackType": "proctrack/linuxproc",
    "TaskPlugin": "task/none",
    "MailProg": "/bin/true",
    "MpiDefault": "none",
    "ReturnToService": "2",
    "SelectType": "select/cons_tres",
    "SelectTypeParameters": "CR_Core",
    "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,sched_min_interval=0",
    "SlurmdParameters": "config_overrides",
    "PropagateResourceLimits": "NONE",
    "KillWait": "2",
    "MaxJobCount": "50000",
    "MinJobAge": "600",
}


@dataclass(frozen=True)
class Layout:
    """A cluster's files and ports; without accounting, `accounting_port` is None."""

    name: str
    folder: Path
    controller_port: int
    node_ports: tuple[int, ...]
    cpus: int
    accounting_port: int | None

    @property
    def munge_socket(self) -> Path:
        return self.folder / "munge.socket"

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(f"n{number}" for number, _ in enumerate(self.node_ports, start=1))


def slurm_conf(layout: Layout, settings: Mapping[str, str]) -> str:
    """Return slurm.conf's text; `settings` are added to the defaults or replace them."""
    folder = layout.folder
    places = {
        "ClusterName": layout.name,
        "SlurmctldHost": f"{socket.gethostname()}(127.0.0.1)",
        "SlurmctldPort": str(layout.controller_port),
        "AuthInfo": f"socket={layout.munge_socket}",
        "StateSaveLocation": f"{folder}/state",
        "SlurmdSpoolDir": f"{folder}/spool/%n",
        "SlurmctldPidFile": f"{folder}/slurmctld.pid",
        "SlurmdPidFile": f"{folder}/slurmd.%n.pid",
        "SlurmctldLogFile": f"{folder}/slurmctld.log",
        "SlurmdLogFile": f"{folder}/slurmd.%n.log",
    }
    table = DEFAULTS | places | _accounting(layout) | dict(settings)
    lines = [f"{name}={value}" for name, value in table.items()]
    return "\n".join([*lines, *_nodes(layout), ""])


def slurmdbd_conf(layout: Layout) -> str:
    """Return slurmdbd.conf's text: the database is reached through MYSQL_UNIX_PORT, not a port."""
    return f"""\
AuthType=auth/munge
AuthInfo=socket={layout.munge_socket}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={layout.accounting_port}
SlurmUser=root
LogFile={layout.folder}/slurmdbd.log
PidFile={layout.folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
"""


def _accounting(layout: Layout) -> dict[str, str]:
    if layout.accounting_port is None:
        return {"AccountingStorageType": "accounting_storage/none"}
    return {
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageHost": "127.0.0.1",
        "AccountingStoragePort": str(layout.accounting_port),
        "AccountingStoragePass": str(layout.munge_socket),
        "AccountingStorageEnforce": "limits",
        "AccountingStoreFlags": "job_comment",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "1",
    }


def _nodes(layout: Layout) -> list[str]:
    host = socket.gethostname()
    nodes = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port}"
        f" CPUs={layout.cpus} RealMemory=8000"
        for name, port in zip(layout.nodes, layout.node_ports, strict=True)
    ]
    partition = f"PartitionName=main Nodes={','.join(layout.nodes)} Default=YES State=UP"
    return [*nodes, partition]
