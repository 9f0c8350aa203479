"""Fixtures of all tests: a home and temporary files of their own, and pytest run in pytest."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.launches import Done

pytest_plugins = ["pytester", "support.cluster_fixtures"]

_MACHINES_OWN = ("GIT_", "XDG_", "SSH_", "SBATCH_", "SLURM_", "SQUEUE_", "BASH_ENV", "CDPATH")
"""How the names of variables begin that bring in what the machine's user has set."""

HERE = Path(__file__).parent
FILLING = "unit"

# how fast an example is depends on what else this machine does, and is no claim of any test
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_assertrepr_compare(op, left, right):
    """Show the whole output of a command that does not say what it should."""
    text = right.text if isinstance(right, Done) else right
    if op in {"in", "not in"} and isinstance(text, str):
        return [f"{left!r} {op}", *text.splitlines()]
    return None


def pytest_collection_modifyitems(items):
    """Spread each folder's files over the run: on a cluster a test waits, elsewhere it computes.

    The short files of the unit tests come last, and keep all processes busy to the end.
    """
    files: dict[str, dict[Path, None]] = {}
    for item in items:
        files.setdefault(item.path.relative_to(HERE).parts[0], {})[item.path] = None
    places = {
        path: (folder == FILLING, number / len(paths))
        for folder, paths in files.items()
        for number, path in enumerate(paths)
    }
    items.sort(key=lambda item: places[item.path])


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
