"""Fixtures of all tests: a home and temporary files of their own, and pytest run in pytest."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

pytest_plugins = ["pytester", "support.cluster_fixtures"]

_MACHINES_OWN = ("GIT_", "XDG_", "SSH_", "SBATCH_", "SLURM_", "SQUEUE_", "BASH_ENV", "CDPATH")
"""How the names of variables begin that bring in what the machine's user has set."""


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory):
    """Keep the machine's home, and what its user has set in files and variables, out of the tests.

    For the whole session: daemons and projects that many tests share are started and made in it.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(_MACHINES_OWN):
                patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        # bytecode of a sweep file that is written twice in a second, with equal sizes, is stale
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        patch.setattr(sys, "dont_write_bytecode", True)
        # the local scheduler's slots are a user's: another's jobs would keep these tests waiting
        with tempfile.TemporaryDirectory(prefix="remex-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)  # munge's socket must be open to all
            patch.setenv("TMPDIR", folder)
            patch.setattr(tempfile, "tempdir", None)
            yield
