"""Wait for standard input to end, then end every process of a folder, and remove the folder.

A test starts this script beside its daemons and holds the other end of the pipe, so that the
daemons also end when the test itself is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PATIENCE = 15.0


def parents() -> dict[int, int]:
    """Return each process id with its parent's."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = (entry / "stat").read_text(errors="replace")
            found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


PARTS = ("environ", "cmdline")


def belongs(pid: int, marker: bytes) -> bool:
    """Return whether a process names the folder in its environment or its arguments."""
    try:
        return any(marker in Path(f"/proc/{pid}/{part}").read_bytes() for part in PARTS)
    except OSError:
        return False


def of_folder(folder: str, spared: frozenset[int]) -> set[int]:
    """Return the processes that name the folder, and those that these have started."""
    family = parents()
    ours = {pid for pid in family if pid not in spared and belongs(pid, f"{folder}/".encode())}
    grown = True
    while grown:
        children = {pid for pid, parent in family.items() if parent in ours} - ours - spared
        ours |= children
        grown = bool(children)
    return ours


def ancestors() -> frozenset[int]:
    """Return this process and all above it: the test's own, which are never ended."""
    family = parents()
    line = [os.getpid()]
    while line[-1] in family:
        line.append(family[line[-1]])
    return frozenset(line)


def end_all(folder: str, spared: frozenset[int]) -> None:
    """Kill until none is left: a process may start another while it is being found."""
    deadline = time.monotonic() + PATIENCE
    while (ours := of_folder(folder, spared)) and time.monotonic() < deadline:
        for pid in ours:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def unmount_all(folder: str) -> None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        place = line.split()[1]
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "-n", "--lazy", place], check=False, timeout=PATIENCE)


def main() -> None:
    folder = sys.argv[1]
    spared = ancestors()
    sys.stdin.buffer.read()
    end_all(folder, spared)
    unmount_all(folder)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
