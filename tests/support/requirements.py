"""The requirements on this machine for a real Slurm and a real sshd."""

from __future__ import annotations

import os
import shutil
import sys

PROGRAMS = (
    "slurmctld",
    "slurmd",
    "slurmdbd",
    "sacctmgr",
    "sbatch",
    "munged",
    "mariadbd",
    "mariadb",
    "mariadb-install-db",
    "sshd",
    "ssh",
    "ssh-keygen",
    "rsync",
    "git",
)
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])


def lacking() -> list[str]:
    """Return what prevents the cluster tests; an empty list means that they can run."""
    missing = [f"the program {name}" for name in PROGRAMS if not shutil.which(name, path=PATH)]
    if not sys.platform.startswith("linux"):
        return ["Linux"]
    return missing if os.geteuid() == 0 else ["root", *missing]
