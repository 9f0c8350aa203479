"""Every branch, ref, launch and directory name is made here, safe for git and for file systems."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

from pytest_remex.errors import SweepError

LONGEST = 255
"""Bytes in a file name, on the file systems of clusters (NAME_MAX)."""

STAMP = "%Y_%m_%d_%H_%M_%S"


def slug(text: str) -> str:
    """Keep letters, digits and `._=+-` of any text; git and file systems take the result."""
    kept = re.sub(r"[^A-Za-z0-9._=+-]+", "-", text)
    kept = re.sub(r"\.{2,}", ".", kept)
    return re.sub(r"^[-.]+|(\.lock|[-.])+$", "", kept) or "unnamed"


def label(name: str) -> str:
    """Name a sweep's folder and launches; names that a slug would make alike are told apart."""
    plain = slug(name)
    if plain == name:
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{plain}-{digest[:6]}"


def launch_id(name: str, when: datetime) -> str:
    """Name a launch: `tams_2026_01_31_12_00_00`."""
    return f"{label(name)}_{when.strftime(STAMP)}"


def launch_time(launch: str) -> datetime:
    """Give the time in a launch's name."""
    return datetime.strptime(launch[-19:], STAMP)  # noqa: DTZ007 - local time, as it was named


def temporary_branch(launch: str) -> str:
    """Name the branch that carries a launch's commits to origin and is deleted afterwards."""
    return f"remex/{launch}"


def keep_ref(launch: str) -> str:
    """Name the local ref that keeps a launch's commits from garbage collection."""
    return f"refs/remex/{launch}"


def run_directory(branch: str, launch: str, sha: str) -> str:
    """Name a run directory: `<branch>_<name>_time_<launch's time>_sha_<12 hex>`.

    Raises `SweepError` where the name is longer than a file system takes.
    """
    name, stamp = launch[:-20], launch[-19:]
    directory = f"{slug(branch)}_{name}_time_{stamp}_sha_{sha[:12]}"
    if len(directory) > LONGEST:
        raise SweepError(
            f"the run directory's name {directory!r} has {len(directory)} bytes, over {LONGEST}: "
            f"give the sweep a shorter name=..., or the branch a shorter name"
        )
    return directory
