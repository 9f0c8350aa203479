"""Processes by their number and birth, so that a number used again is not mistaken."""

import contextlib
import os
import signal
from typing import List, Optional

from pytest_remex.agent import commands, fs


def birth(pid: int) -> Optional[str]:
    """Give a word for when a process started, None when there is no such process."""
    stat = fs.read(f"/proc/{pid}/stat")
    if stat is not None:
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] == "Z" else f"{_boot()} {fields[19]}"
    if os.path.isdir("/proc/self"):
        return None
    listed = commands.run(["ps", "-o", "lstart=", "-p", str(pid)], timeout=10)
    return listed.out.strip() or None


def _boot() -> str:
    return (fs.read("/proc/sys/kernel/random/boot_id") or "").strip()


def signal_group(group: int, number: int) -> None:
    """Signal a process group; none left is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def kill_group_of(pid: int, born: Optional[str]) -> None:
    """End the process group that a process leads, if it still is that process."""
    if born is not None and birth(pid) == born:
        signal_group(pid, signal.SIGKILL)


def numbers() -> List[int]:
    """Give the numbers of all processes, where the system tells."""
    return [int(name) for name in fs.listing("/proc") if name.isdigit()]


def arguments(pid: int) -> List[bytes]:
    """Give a process's arguments, none when it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def folder(pid: int) -> str:
    """Give a process's current folder, empty when it is gone."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""
